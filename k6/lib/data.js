// The objects that can be asked for, from the manifest, and ways to choose among them.

import { SharedArray } from 'k6/data';

// Held once for all users. Init code, so it runs before anyone asks for anything.
export function group(...names) {
  const found = new SharedArray(names.join('+'), () =>
    JSON.parse(open(__ENV.MANIFEST)).objects.filter((one) => names.includes(one.group)),
  );
  if (found.length === 0) {
    throw new Error(`the manifest has nothing of ${names}`);
  }
  return found;
}

export const BLOCK = 65536; // as tests/load/data.py cuts them

export function pick(list) {
  return list[Math.floor(Math.random() * list.length)];
}

// From `low` to `high`, both included.
export function between(low, high) {
  return low + Math.floor(Math.random() * (high - low + 1));
}

// Popularity by Zipf's law: the object at place n is asked for in proportion to 1 / n.
// Gives a function that chooses an index below `count`.
export function zipf(count) {
  const sums = new Float64Array(count);
  let sum = 0;
  for (let place = 0; place < count; place += 1) {
    sum += 1 / (place + 1);
    sums[place] = sum;
  }
  return () => {
    const wanted = Math.random() * sum;
    let low = 0;
    let high = count - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sums[middle] < wanted) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  };
}

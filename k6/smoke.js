// One user, a minute at most: each way of asking once, over each protocol there is. Run it first.

import { group, pick } from './lib/data.js';
import { leave, plain, range, tail, user, whole } from './lib/ask.js';
import { adminUrl, baseUrl, options as make, otherUrl, tlsUrl } from './lib/settings.js';

export { handleSummary } from './lib/summary.js';

const edge = group('edge');
const ladder = group('ladder');
const bulk = group('bulk');

export const options = make({
  smoke: { executor: 'per-vu-iterations', vus: 1, iterations: 1, maxDuration: '60s' },
});

export default user(() => {
  const bases = [baseUrl, otherUrl, tlsUrl].filter((one) => one !== null);
  const right = bases.map((base) => {
    const how = { base, share: 1 };
    const large = pick(bulk);
    return [
      ...edge.map((object) => whole(object, how)),
      ...ladder.map((object) => whole(object, how)),
      range(large, 0, 0, how),
      range(large, 100_000, 1_200_000, how),
      range(large, large.size - 65536, null, how),
      range(large, 1_048_576, large.size * 2, how), // ends at the object's end
      tail(large, 1024, how),
      plain(`${base}no/such/object`, 404) !== null,
      plain(`${base}${large.key}`, 416, { headers: { Range: `bytes=${large.size}-` } }) !== null,
      conditional(base, large),
      leave(large, 2, how),
    ].every((one) => one);
  });
  if (adminUrl) {
    right.push(plain(`${adminUrl}/healthz`, 200) !== null);
    right.push(plain(`${adminUrl}/readyz`, 200) !== null);
  }
  return right.every((one) => one);
});

// HEAD tells the validator; asked again with it there is nothing to send.
function conditional(base, object) {
  const head = plain(`${base}${object.key}`, 200, { method: 'HEAD' });
  if (head === null || head.headers.Etag === undefined) {
    return false;
  }
  const headers = { 'If-None-Match': head.headers.Etag };
  return plain(`${base}${object.key}`, 304, { headers }) !== null;
}

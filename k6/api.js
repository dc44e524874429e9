// Every endpoint, the public's and the operator's: 100 users, ten requests each. Small answers: what
// is measured is the cost of a request, not of bytes. Which endpoints the operator's door has, it
// says itself; what fills and empties the cache is among them.

import { group, pick } from './lib/data.js';
import { plain, range, tail, user, whole } from './lib/ask.js';
import { about, ask, endpoints } from './lib/admin.js';
import { baseUrl, number, options as make, tlsUrl } from './lib/settings.js';

export { handleSummary } from './lib/summary.js';

const small = group('ladder').filter((one) => one.size <= 65536);
about(small);

export const options = make(
  {
    api: {
      executor: 'per-vu-iterations',
      vus: number('USERS', 100, 40),
      iterations: 1,
      maxDuration: '2m',
    },
  },
  { options: { setupTimeout: '60s' } },
);

export function setup() {
  return { admin: endpoints() };
}

const kinds = [
  (base) => whole(pick(small), { base }),
  (base) => range(pick(small), 0, 0, { base }),
  (base) => tail(pick(small), 8, { base }),
  (base) => answered(base, 200, { method: 'HEAD', name: 'head' }),
  (base) => plain(`${base}no/such/object`, 404, { name: 'missing' }) !== null,
  (base) => answered(base, 304, { headers: { 'If-None-Match': '*' }, name: 'unchanged' }),
  (base) => answered(base, 416, { headers: { Range: 'bytes=99999999-' }, name: 'beyond' }),
  (base) => answered(base, 204, { method: 'OPTIONS', name: 'options' }),
  (base) => answered(base, 405, { method: 'DELETE', name: 'no such method' }),
];

function answered(base, expected, how) {
  return plain(base + pick(small).key, expected, how) !== null;
}

export default user(({ admin }) => {
  let right = true;
  const requests = number('REQUESTS', 10, 10);
  for (let turn = 0; turn < requests; turn += 1) {
    const place = __VU * requests + turn;
    if (admin.length > 0 && turn % 5 === 4) {
      right = ask(admin[Math.floor(place / 5) % admin.length]) && right;
    } else {
      right = kinds[place % kinds.length](tlsUrl && turn % 4 === 3 ? tlsUrl : baseUrl) && right;
    }
  }
  return right;
});

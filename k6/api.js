// Every endpoint, the public's and the operator's: 100 users, ten requests each (one of each kind in
// a short run's five). Small answers: what is measured is the cost of a request, not of bytes.

import { group, pick } from './lib/data.js';
import { plain, range, tail, user, whole } from './lib/ask.js';
import { adminUrl, baseUrl, number, options as make, tlsUrl } from './lib/settings.js';

export { handleSummary } from './lib/summary.js';

const ladder = group('ladder');

export const options = make({
  api: {
    executor: 'per-vu-iterations',
    vus: number('USERS', 100, 40),
    iterations: 1,
    maxDuration: '2m',
  },
});

// The operator's endpoints as it describes them itself, or else those that have always been there.
// Only what reads and is quick: no parameters in the path, nothing below /debug/, no stream of events.
export function setup() {
  if (!adminUrl) {
    return { admin: [] };
  }
  const described = plain(`${adminUrl}/openapi.json`, [200, 404]);
  if (described === null || described.status !== 200) {
    return { admin: ['/healthz', '/readyz'] };
  }
  const paths = Object.entries(JSON.parse(described.body).paths);
  const usable = ([path, { get }]) => get && !/[{]|^\/debug\//.test(path) && !isStream(get);
  return { admin: paths.filter(usable).map(([path]) => path) };
}

function isStream(operation) {
  return 'text/event-stream' in (operation.responses['200'].content || {});
}

export default user(({ admin }) => {
  const small = ladder.filter((one) => one.size <= 65536);
  const kinds = [
    (base) => whole(pick(small), { base }),
    (base) => range(pick(small), 0, 0, { base }),
    (base) => tail(pick(small), 8, { base }),
    (base) => plain(base + pick(small).key, 200, { base, method: 'HEAD', name: 'head' }) !== null,
    (base) => plain(`${base}no/such/object`, 404, { name: 'missing' }) !== null,
  ];
  let right = true;
  const requests = number('REQUESTS', 10, 10);
  for (let turn = 0; turn < requests; turn += 1) {
    const base = tlsUrl && turn % 4 === 3 ? tlsUrl : baseUrl;
    if (admin.length > 0 && turn % 5 === 4) {
      const path = admin[(__VU + turn) % admin.length];
      right = plain(adminUrl + path, 200, { name: `admin ${path}` }) !== null && right;
    } else {
      right = kinds[(__VU + turn) % kinds.length](base) && right;
    }
  }
  return right;
});

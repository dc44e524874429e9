// More downloads at once than the server may want to have: it ramps past a thousand and back. What is
// asked is not that all are served, but that each is told the truth: either the whole object, right to
// the last byte, or a 503 that says when to come back. And that afterwards all is well again.

import { sleep } from 'k6';
import { Trend } from 'k6/metrics';
import { group, pick } from './lib/data.js';
import { user, whole } from './lib/ask.js';
import { number, options as make, short } from './lib/settings.js';

export { handleSummary } from './lib/summary.js';

const bulk = group('bulk');
const ladder = group('ladder');
const most = number('USERS', 1200, 200);
const afterwards = new Trend('afterwards', true); // latency of small files once the storm is over

// Up to the most, held there, and down; then the server gets a moment, and ten users look at it.
const ramp = short ? ['4s', '4s', '2s'] : ['30s', '60s', '10s'];
const over = short ? '45s' : '160s';

export const options = make({
  storm: {
    executor: 'ramping-vus',
    exec: 'storm',
    startVUs: 1,
    stages: [
      { duration: ramp[0], target: most },
      { duration: ramp[1], target: most },
      { duration: ramp[2], target: 0 },
    ],
    gracefulRampDown: short ? '30s' : '50s',
    gracefulStop: '50s',
  },
  calm: {
    executor: 'per-vu-iterations',
    exec: 'calm',
    vus: 10,
    iterations: 10,
    startTime: over,
    maxDuration: '30s',
  },
});

export const storm = user(() => {
  const right = whole(pick(bulk), { mayRefuse: true, share: 0.05, name: 'storm', timeout: '120s' });
  sleep(0.1 + Math.random() * 0.2); // who was refused comes back, but not at once
  return right;
});

export const calm = user(() => {
  const small = pick(ladder.filter((one) => one.size <= 65536));
  const began = Date.now();
  const right = whole(small, { name: 'calm', timeout: '10s' });
  afterwards.add(Date.now() - began);
  return right;
});

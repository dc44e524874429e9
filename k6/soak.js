// An hour of ordinary mixed load, or as long as DURATION says. What is looked for takes time to show:
// memory that grows (the runner watches it and fails the run), handles that are not given back.

import { sleep } from 'k6';
import { between, group, pick } from './lib/data.js';
import { leave, range, user, whole } from './lib/ask.js';
import { baseUrl, duration, number, options as make, tlsUrl } from './lib/settings.js';

export { handleSummary } from './lib/summary.js';

const ladder = group('ladder');
const films = group('video');
const crowd = group('crowd');

export const options = make({
  soak: {
    executor: 'constant-vus',
    vus: number('USERS', 30, 10),
    duration: duration('1h', '30s'),
    gracefulStop: '30s',
  },
});

const habits = [
  (how) => whole(pick(crowd), how),
  (how) => whole(pick(ladder), how),
  (how) => leave(pick(films), between(5, 60), how),
  (how) => {
    const film = pick(films);
    const first = between(0, film.size - 1);
    return range(film, first, first + between(0, 2_000_000), how);
  },
];

export default user(() => {
  const base = tlsUrl && __VU % 3 === 0 ? tlsUrl : baseUrl;
  const right = pick(habits)({ base, mayRefuse: true });
  sleep(Math.random() * 0.2);
  return right;
});

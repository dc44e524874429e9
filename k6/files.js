// 50 users who download files of 1 KiB to 10 MiB, three in four whole and one in four a range of it.

import { between, group, pick } from './lib/data.js';
import { range, user, whole } from './lib/ask.js';
import { baseUrl, duration, number, options as make, tlsUrl } from './lib/settings.js';

export { handleSummary } from './lib/summary.js';

const ladder = group('ladder');

export const options = make({
  files: {
    executor: 'constant-vus',
    vus: number('USERS', 50, 50),
    duration: duration('60s', '8s'),
    gracefulStop: '30s',
  },
});

export default user(() => {
  const object = pick(ladder);
  const how = { base: tlsUrl && __VU % 5 === 0 ? tlsUrl : baseUrl };
  if (Math.random() < 0.75) {
    return whole(object, how);
  }
  const first = between(0, object.size - 1);
  return range(object, first, between(first, object.size - 1), how);
});

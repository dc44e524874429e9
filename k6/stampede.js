// A thousand users who want one object that nobody has asked for before, all at the same moment.
// `origin bytes` is not seen from here: compare the operator's metrics before and after.

import { group } from './lib/data.js';
import { user, whole } from './lib/ask.js';
import { number, options as make } from './lib/settings.js';

export { handleSummary } from './lib/summary.js';

const [cold] = group('cold');

export const options = make({
  stampede: {
    executor: 'per-vu-iterations',
    vus: number('USERS', 1000, 200),
    iterations: 1,
    maxDuration: '2m',
  },
});

export default user(() => whole(cold, { mayRefuse: true, share: 0.2, timeout: '110s' }));

// A public site: thousands of objects of which few are popular (Zipf), half the users on HTTP/2 over
// TLS and half on HTTP/1.1, and one in twenty leaves before the answer is there.

import { group, zipf } from './lib/data.js';
import { leave, tail, user, whole } from './lib/ask.js';
import { baseUrl, duration, number, options as make, tlsUrl } from './lib/settings.js';

export { handleSummary } from './lib/summary.js';

const crowd = group('crowd');
const popular = zipf(crowd.length);

function visitors() {
  return {
    executor: 'constant-vus',
    vus: Math.max(1, Math.round(number('USERS', 60, 20) / 2)),
    duration: duration('60s', '8s'),
    gracefulStop: '30s',
  };
}

const scenarios = { http1: { ...visitors(), exec: 'http1' } };
if (tlsUrl) {
  scenarios.http2 = { ...visitors(), exec: 'http2' };
}
export const options = make(scenarios);

function visit(how) {
  const object = crowd[popular()];
  const mood = Math.random();
  if (mood < 0.05) {
    return leave(object, 1 + Math.random() * 10, how);
  }
  return mood < 0.15 ? tail(object, 1024, how) : whole(object, how);
}

export const http1 = user(() => visit({ base: baseUrl }));
export const http2 = user(() => visit({ base: tlsUrl }));

// The operator's endpoints, as the door describes them itself (/openapi.json), and how each is asked.

import { pick } from './data.js';
import { left, plain } from './ask.js';
import { adminUrl, baseUrl, own } from './settings.js';

// What /openapi.json need not say to be there.
const always = ['/healthz', '/readyz'];
// These hold up the whole program while they measure, one at a time: asked once, before the load.
const measurements = ['/debug/profile', '/debug/memory'];
// Where a target that was named may have no cache, no debugging, or want a token that we lack.
const alone = own ? [200] : [200, 401, 403, 404];
const path = baseUrl.replace(/^https?:\/\/[^/]*/, '');

// For setup(): each endpoint with how to ask it and what is expected, which is what it said when it
// was asked alone, and 429 where it says so of itself. Plain data, as k6 wants it.
export function endpoints() {
  if (!adminUrl) {
    return [];
  }
  const described = plain(`${adminUrl}/openapi.json`, own ? 200 : [200, 404]);
  if (described === null || described.status !== 200) {
    return always.map((one) => ({ method: 'GET', path: one, expected: [200] }));
  }
  const found = Object.entries(JSON.parse(described.body).paths).flatMap(([one, operations]) =>
    Object.entries(operations).map(([method, operation]) => ({
      method: method.toUpperCase(),
      path: one,
      isStream: 'text/event-stream' in operation.responses['200'].content && method === 'get',
      mayBeBusy: '429' in operation.responses,
    })),
  );
  return found.map(tried).filter((one) => one !== null && !measurements.includes(one.path));
}

function tried(endpoint) {
  if (measurements.includes(endpoint.path)) {
    const how = { name: name(endpoint) };
    const response = plain(`${adminUrl}${endpoint.path}?seconds=1`, [...alone, 429], how);
    return response === null ? null : endpoint;
  }
  if (endpoint.isStream) {
    return { ...endpoint, expected: [429] };
  }
  const response = send(endpoint, [...alone, ...(endpoint.mayBeBusy ? [429] : [])]);
  if (response === null) {
    return null;
  }
  return { ...endpoint, expected: [response.status, ...(endpoint.mayBeBusy ? [429] : [])] };
}

// Asks one of them; whether the answer was as expected.
export function ask(endpoint) {
  return send(endpoint, endpoint.expected) !== null;
}

function send(endpoint, expected) {
  const url = adminUrl + endpoint.path;
  const how = { method: endpoint.method, name: name(endpoint) };
  if (endpoint.isStream) {
    return left(url, 200, expected, how);
  }
  if (endpoint.method === 'GET') {
    return plain(url, expected, how);
  }
  how.body = JSON.stringify(bodies[endpoint.path]());
  how.headers = { 'Content-Type': 'application/json' };
  // A scrub of a large cache takes its time; it ends when we leave.
  const ask = endpoint.path === '/cache/scrub' ? left : (u, _, e, h) => plain(u, e, h);
  return ask(url, 5000, expected, how);
}

function name(endpoint) {
  return `admin ${endpoint.method} ${endpoint.path}`;
}

let objects = [];

// Of which objects something is filled and purged.
export function about(some) {
  objects = some;
}

const bodies = {
  '/cache/purge': () => ({ kind: 'key', value: pick(objects).key, soft: Math.random() < 0.5 }),
  '/cache/warm': () => ({ keys: [path + pick(objects).key] }),
  '/cache/scrub': () => ({}),
};

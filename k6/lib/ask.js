// Asking for an object, whole or in part, and checking all of the answer: status, Content-Length,
// Content-Range, that the body came to its end, and for a sample its digest.
//
// Bodies that are not in the sample are read and thrown away by k6: that a body was cut short shows
// there too, as an error of the request. Every function returns true when the answer was right.

import http from 'k6/http';
import crypto from 'k6/crypto';
import { check } from 'k6';
import { Counter, Rate } from 'k6/metrics';
import { BLOCK } from './data.js';
import { baseUrl } from './settings.js';

const completed = new Rate('completed'); // users' stories that came to their end, all answers right
const wrongBytes = new Counter('wrong_bytes'); // bodies whose digest is not the object's
const unexplained = new Counter('unexplained'); // neither the answer asked for nor a polite refusal
const refused = new Counter('refused'); // 503 with Retry-After, where the scenario expects it
const delivered = new Counter('delivered'); // bodies that came whole, or the whole of a range
const verified = new Counter('verified'); // bodies whose digest was compared
const aborted = new Counter('aborted'); // left by us before the end

const TIMED_OUT = 1050; // k6's error code for a request that reached its timeout
const SHORT = 16; // hexadecimal digits the manifest keeps for blocks and pieces

// Makes a scenario's function of one that returns whether all went well. A script that breaks would
// otherwise count for nothing: the run would pass having asked for little or nothing.
export function user(story) {
  return (data) => {
    let right = false;
    try {
      right = story(data) !== false;
    } finally {
      completed.add(right);
    }
  };
}

// What to ask beyond the object: {base, share, mayRefuse, timeout, name, method}
//   share      of bodies that are kept and checked by digest, 0 to 1; small ones always are
//   mayRefuse  true where a 503 with Retry-After is a right answer too
export function whole(object, how = {}) {
  const keep = keeps(object.size, how);
  const response = send(object, {}, keep, { name: 'whole', ...how });
  return judge(response, object, null, keep, how);
}

// Bytes `first` to `last` of the object, both included; `last` null means up to its end.
export function range(object, first, last, how = {}) {
  const end = last === null ? object.size - 1 : Math.min(last, object.size - 1);
  const text = `bytes=${first}-${last === null ? '' : last}`;
  return ranged(object, text, first, end, how);
}

// The last `length` bytes.
export function tail(object, length, how = {}) {
  const first = Math.max(0, object.size - length);
  return ranged(object, `bytes=-${length}`, first, object.size - 1, how);
}

function ranged(object, text, first, end, how) {
  const keep = keeps(end - first + 1, how);
  const response = send(object, { Range: text }, keep, { name: 'range', ...how });
  return judge(response, object, [first, end], keep, how);
}

// Asks for the whole object and leaves after `milliseconds`, as a browser does that moves on.
export function leave(object, milliseconds, how = {}) {
  const response = send(object, {}, false, { name: 'left', ...how, timeout: milliseconds });
  if (response.error_code === TIMED_OUT) {
    aborted.add(1);
    return true;
  }
  return judge(response, object, null, false, how); // it was faster than we
}

// Any other address: its status, and that there was an answer at all. Gives the response.
export function plain(url, expected, how = {}) {
  return asExpected(request(url, expected, { timeout: '30s', ...how }), url, expected);
}

// The same, for an answer that may take longer than we wait: then we leave, and that is right too.
export function left(url, milliseconds, expected, how = {}) {
  const response = request(url, expected, { ...how, timeout: milliseconds });
  if (response.error_code === TIMED_OUT) {
    aborted.add(1);
    return response;
  }
  return asExpected(response, url, expected);
}

function request(url, expected, how) {
  return http.request(how.method || 'GET', url, how.body || null, {
    headers: how.headers || {},
    responseType: 'text',
    tags: { name: how.name || 'plain' },
    timeout: how.timeout,
    responseCallback: http.expectedStatuses(...[expected].flat()),
  });
}

function asExpected(response, url, expected) {
  const right = check(response, {
    'status is as expected': (r) => [expected].flat().includes(r.status),
  });
  if (!right) {
    explain(response, url, `expected ${expected}`);
  }
  return right ? response : null;
}

function send(object, headers, keep, how) {
  const url = (how.base || baseUrl) + object.key.split('/').map(encodeURIComponent).join('/');
  return http.request(how.method || 'GET', url, null, {
    headers: { ...headers, ...(how.headers || {}) },
    responseType: keep ? 'binary' : 'none',
    tags: { name: how.name },
    timeout: how.timeout || '120s',
    responseCallback: http.expectedStatuses(...(how.mayRefuse ? [200, 206, 503] : [200, 206])),
  });
}

function keeps(length, how) {
  const share = how.share === undefined ? 0.1 : how.share;
  return length <= 4 * BLOCK || Math.random() < share;
}

function judge(response, object, part, keep, how) {
  if (how.mayRefuse && response.status === 503 && header(response, 'Retry-After')) {
    refused.add(1);
    return true;
  }
  const [first, last] = part || [0, object.size - 1];
  const length = last - first + 1;
  const expected = {
    'status is as expected': (r) => r.status === (part ? 206 : 200),
    'body came to its end': (r) => r.error_code === 0,
    'Content-Length is right': (r) => header(r, 'Content-Length') === String(length),
  };
  if (part) {
    const text = `bytes ${first}-${last}/${object.size}`;
    expected['Content-Range is right'] = (r) => header(r, 'Content-Range') === text;
  }
  if (!check(response, expected)) {
    explain(response, object.key, part ? `bytes ${first}-${last}` : 'whole');
    return false;
  }
  const right = !keep || checkBytes(response.body, object, first, length);
  delivered.add(right ? 1 : 0);
  return right;
}

function header(response, name) {
  return response.headers ? response.headers[name] : undefined;
}

function explain(response, what, asked) {
  unexplained.add(1);
  console.error(
    `${what} (${asked}): status ${response.status}, error ${response.error_code} ${response.error}`,
  );
}

function checkBytes(body, object, first, length) {
  const found = body === null ? false : isRight(body, object, first, length);
  if (found === null) {
    return true; // a short piece that the manifest doesn't know
  }
  verified.add(1);
  if (!check(found, { 'bytes are the object\'s': (right) => right })) {
    wrongBytes.add(1);
    console.error(`${object.key}: wrong bytes from ${first}, length ${length}`);
    return false;
  }
  return true;
}

// true or false, or null when nothing in the manifest covers these bytes.
function isRight(body, object, first, length) {
  if (body.byteLength !== length) {
    return false;
  }
  if (length === object.size) {
    return crypto.sha256(body, 'hex') === object.sha256;
  }
  const piece = object.pieces[`${first}-${first + length - 1}`];
  if (piece !== undefined) {
    return crypto.sha256(body, 'hex').slice(0, SHORT) === piece;
  }
  return blocksAreRight(body, object, first, length);
}

// Every block that lies in the range as a whole, of a long range the first, the last and one between.
function blocksAreRight(body, object, first, length) {
  const lowest = Math.ceil(first / BLOCK);
  const beyond = Math.floor((first + length) / BLOCK);
  if (beyond <= lowest) {
    return null;
  }
  const between = lowest + Math.floor(Math.random() * (beyond - lowest));
  return [lowest, between, beyond - 1].every((block) => {
    const start = block * BLOCK - first;
    const digest = crypto.sha256(body.slice(start, start + BLOCK), 'hex').slice(0, SHORT);
    return digest === object.blocks.slice(block * SHORT, (block + 1) * SHORT);
  });
}

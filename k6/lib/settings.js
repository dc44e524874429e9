// What a run is told from outside, all by environment variables, and the options every scenario
// shares. Nothing here asks for anything.
//
//   BASE_URL    where the objects are, over HTTP/1.1 in clear: http://127.0.0.1:8080/media/
//   TLS_URL     the same over TLS (HTTP/2 by ALPN); left out: nothing is asked over HTTP/2
//   OTHER_URL   the same objects from another origin; smoke asks both
//   ADMIN_URL   the operator's door; left out: it is not asked
//   SERVER_PID  the server's process, where it was started for this run; it then lacks nothing
//   MANIFEST    path of the manifest that tests/load/data.py writes
//   OUT         directory for summary.json and junit.xml; left out: they are not written
//   SHORT       1 for a run of seconds instead of minutes, for continuous integration
//   USERS, DURATION, REQUESTS   instead of the scenario's own, where it has them

export const short = __ENV.SHORT === '1';
export const baseUrl = (__ENV.BASE_URL || '').replace(/\/*$/, '/');
export const tlsUrl = __ENV.TLS_URL ? __ENV.TLS_URL.replace(/\/*$/, '/') : null;
export const otherUrl = __ENV.OTHER_URL ? __ENV.OTHER_URL.replace(/\/*$/, '/') : null;
export const own = Boolean(__ENV.SERVER_PID);
export const adminUrl = __ENV.ADMIN_URL ? __ENV.ADMIN_URL.replace(/\/*$/, '') : null;

if (!__ENV.BASE_URL || !__ENV.MANIFEST) {
  throw new Error('BASE_URL and MANIFEST must be set; `just load NAME` does it');
}

// A number from the environment, or else the scenario's own, or in a short run its short one.
export function number(name, usual, inShort) {
  const given = __ENV[name];
  return given ? Number(given) : short ? inShort : usual;
}

export function duration(usual, inShort) {
  return __ENV.DURATION || (short ? inShort : usual);
}

// Thresholds that hold in every scenario. `completed` also counts a user whose script broke, which
// k6 itself would pass over in silence. None has any tolerance.
const always = {
  checks: ['rate==1'],
  completed: ['rate==1'],
  wrong_bytes: ['count==0'],
  unexplained: ['count==0'],
  delivered: ['count>0'], // who refuses everybody, however politely, serves nobody
};

export function options(scenarios, more = {}) {
  return {
    scenarios,
    thresholds: { ...always, ...(more.thresholds || {}) },
    insecureSkipTLSVerify: true, // a certificate of the moment, on loopback
    noConnectionReuse: false,
    summaryTrendStats: ['avg', 'min', 'med', 'p(90)', 'p(95)', 'p(99)', 'max', 'count'],
    // k6 groups its figures by these; a URL as a tag would make one series for each object.
    systemTags: ['group', 'status', 'proto', 'method', 'name', 'scenario', 'error_code', 'check'],
    setupTimeout: '30s',
    ...(more.options || {}),
  };
}

// The end of a run: the figures as JSON, the checks and thresholds as JUnit, and a few lines to read.

const MIB = 1024 * 1024;

export function handleSummary(data) {
  const out = { stdout: text(data) };
  if (__ENV.OUT) {
    out[`${__ENV.OUT}/summary.json`] = JSON.stringify(data, null, 1);
    out[`${__ENV.OUT}/junit.xml`] = junit(data);
  }
  return out;
}

function text(data) {
  const metrics = data.metrics;
  const trend = (metrics.http_req_duration || { values: {} }).values;
  const count = (name) => (metrics[name] ? metrics[name].values.count : 0);
  const lines = [
    `  ${count('http_reqs')} requests, ${(count('data_received') / MIB).toFixed(0)} MiB, ` +
      `${(data.state.testRunDurationMs / 1000).toFixed(1)} s`,
    `  latency: median ${ms(trend.med)}, p95 ${ms(trend['p(95)'])}, p99 ${ms(trend['p(99)'])}, ` +
      `longest ${ms(trend.max)}`,
    `  ${count('delivered')} delivered, ${count('verified')} compared by digest, ${count('wrong_bytes')} wrong; ` +
      `${count('refused')} refused politely, ${count('aborted')} left early, ` +
      `${count('unexplained')} unexplained`,
  ];
  for (const one of thresholds(data)) {
    lines.push(`  ${one.passed ? 'ok  ' : 'FAIL'} ${one.name}`);
  }
  return `${lines.join('\n')}\n`;
}

function ms(value) {
  return value === undefined ? 'none' : `${value.toFixed(1)} ms`;
}

function thresholds(data) {
  return Object.entries(data.metrics).flatMap(([name, metric]) =>
    Object.entries(metric.thresholds || {}).map(([rule, result]) => ({
      name: `${name}: ${rule}`,
      passed: result.ok,
      detail: JSON.stringify(metric.values),
    })),
  );
}

function checks(group) {
  const own = (group.checks || []).map((one) => ({
    name: one.name,
    passed: one.fails === 0,
    detail: `${one.fails} of ${one.fails + one.passes} failed`,
  }));
  return own.concat(...(group.groups || []).map(checks));
}

function junit(data) {
  const cases = [...checks(data.root_group), ...thresholds(data)];
  const failures = cases.filter((one) => !one.passed).length;
  const seconds = (data.state.testRunDurationMs / 1000).toFixed(3);
  const body = cases.map((one) =>
    one.passed
      ? `  <testcase name="${escape(one.name)}"/>`
      : `  <testcase name="${escape(one.name)}"><failure message="${escape(one.detail)}"/></testcase>`,
  );
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuite name="${escape(__ENV.NAME || 'load')}" tests="${cases.length}" ` +
      `failures="${failures}" time="${seconds}">`,
    ...body,
    '</testsuite>\n',
  ].join('\n');
}

function escape(text) {
  return String(text)
    .replace(/&/g, '&amp;')
    .replace(/</g, '&lt;')
    .replace(/>/g, '&gt;')
    .replace(/"/g, '&quot;');
}

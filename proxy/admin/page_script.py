"""The status page's script: asks for the numbers every two seconds and shows how they grew.

All text goes into the page as text, never as markup: paths and details are anybody's. The token is
kept for this tab only.
"""

SCRIPT = r"""
"use strict";
const EVERY = 2000, POINTS = 150, $ = id => document.getElementById(id);
let token = sessionStorage.getItem("token") || "", before = null, rates = [], timer = 0, seen = 0;

const UNITS = ["B", "kB", "MB", "GB", "TB"];
function bytes(n) {
  let unit = 0;
  while (n >= 999.5 && unit < 4) { n /= 1000; unit++; }
  return `${unit && n < 99.95 ? n.toFixed(1) : Math.round(n)} ${UNITS[unit]}`;
}
function span(s) {
  if (s === null) return "\u2013";
  if (s < 0.9995) return `${s * 1000 < 10 ? (s * 1000).toFixed(1) : Math.round(s * 1000)} ms`;
  return s < 90 ? `${s.toFixed(1)} s` : `${Math.round(s / 60)} min`;
}
const sum = object => Object.values(object).reduce((a, b) => a + b, 0);
const say = (id, text) => { $(id).textContent = text; };

function cell(row, text, kind) {
  const made = row.insertCell();
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
}
function table(id, items, fill, nothing) {
  const body = $(id);
  body.replaceChildren();
  for (const item of items) fill(body.insertRow(), item);
  if (!items.length && nothing) cell(body.insertRow(), nothing);
}

function quantile(bounds, counts, q) {
  const total = counts.reduce((a, b) => a + b, 0);
  if (!total) return null;
  let below = 0;
  for (let i = 0; i < counts.length; i++) {
    if (below + counts[i] >= q * total) {
      const low = i ? bounds[i - 1] : 0, high = bounds[i] ?? low;
      return low + (high - low) * (q * total - below) / counts[i];
    }
    below += counts[i];
  }
  return null;
}

function chart() {
  const most = Math.max(1, ...rates), step = 300 / (POINTS - 1);
  const start = 300 - step * (rates.length - 1);
  const points = rates.map((r, i) =>
    `${(start + i * step).toFixed(1)},${(47 - 45 * r / most).toFixed(1)}`);
  $("line").setAttribute("d", "M" + points.join("L"));
  $("area").setAttribute("d", `M${start},48L${points.join("L")}L300,48Z`);
}

function growth(now, then) {
  const seconds = now.time - then.time;
  const per = name => Math.max(0, now[name] - then[name]) / seconds;
  const out = per("sent_bytes"), into = per("origin_bytes");
  say("out", `${bytes(out)}/s`);
  say("in", `${bytes(into)}/s`);
  say("amp", out > 0 ? `${(into / out).toFixed(2)} bytes for each to clients` : "");
  rates.push(out);
  rates = rates.slice(-POINTS);
  chart();
  const requests = Object.fromEntries(Object.entries(now.requests)
    .map(([k, v]) => [k, Math.max(0, v - (then.requests[k] || 0)) / seconds]));
  say("rate", `${sum(requests).toFixed(1)}/s`);
  say("classes", Object.entries(requests).filter(([, v]) => v > 0)
    .map(([k, v]) => `${k} ${v.toFixed(1)}`).join("  "));
}

function show(now) {
  $("links").hidden = Boolean(token);  // a link can't bring the token
  const ready = now.health.ready, draining = now.health.draining;
  $("state").className = ready ? "good" : "bad";
  say("state", ready ? "ready" : draining ? "draining" : "not ready");
  if (before && now.time > before.time) growth(now, before);
  const { bounds, counts } = now.first_byte;
  const recent = history(now);
  say("ttfb", span(quantile(bounds, recent, .5)));
  say("ttfb95", `95 of 100 below ${span(quantile(bounds, recent, .95))}`);
  say("active", now.downloads_active);
  const d = now.downloads, counted = sum(d) - (d.client_gone || 0) - (d.refused || 0);
  const share = 100 * (d.complete || 0) / counted;
  say("success", counted > 0 ? `${share.toFixed(2)} % succeeded` : "");
  cache(now.cache);
  lists(now);
  before = now;
}

function cache(c) {
  $("cache").hidden = !c.memory_limit;
  const part = (counts, names) => {
    const found = names.reduce((a, n) => a + (counts[n] || 0), 0), all = sum(counts);
    return all > 0 ? `${(100 * found / all).toFixed(1)} %` : "\u2013";
  };
  const share = (used, limit) => limit ? `${bytes(used)} of ${bytes(limit)}` : "\u2013";
  say("hits", part(c.answers, ["hit", "stale hit", "revalidated", "collapsed"]));
  say("kept", part(c.bytes, ["memory", "disk"]));
  say("disk", share(c.disk, c.disk_limit));
  say("memory", share(c.memory, c.memory_limit));
  const why = Object.keys(c.resting).filter(reason => c.resting[reason]);
  $("rests").className = "bad";
  say("rests", why.length ? `the disk is left alone: ${why.join(", ")}` : "");
}

const marks = [];
function history(now) {
  marks.push(now.first_byte.counts);
  if (marks.length > 31) marks.shift();
  const first = marks.length > 1 ? marks[0] : now.first_byte.counts.map(() => 0);
  const grown = now.first_byte.counts.map((n, i) => Math.max(0, n - first[i]));
  return grown.some(n => n) ? grown : now.first_byte.counts;
}

function lists(now) {
  table("origins", Object.entries(now.origin_up), (row, [name, up]) => {
    cell(row, name);
    cell(row, up ? "answers" : "does not answer", up ? "good" : "bad");
    const waiting = now.flow.queue[name];
    cell(row, waiting ? `${waiting} wait` : "", "n warn");
    cell(row, `${now.origin_errors[name] || 0} errors`, "n");
  }, "not looked at yet");
  const p = now.processes;
  table("processes", Object.keys(p.memory).sort(), (row, name) => {
    cell(row, name);
    const used = before ? (p.cpu_seconds[name] - before.processes.cpu_seconds[name])
      / (now.time - before.time) : NaN;
    cell(row, used >= 0 ? `${Math.round(100 * used)} %` : "\u2013", "n");
    cell(row, bytes(p.memory[name]), "n");
    const lag = p.lag[name];
    cell(row, lag === undefined ? "" : span(lag), lag > .1 ? "n warn" : "n");
  });
  const { connections, paused, refused } = now.flow;
  say("flying", `${now.in_flight} in flight, ${paused} paused, ${connections} connections, ` +
    `${refused} refused` +
    (now.silent.length ? `; silent workers: ${now.silent.join(", ")}` : ""));
  table("transfers", now.transfers, (row, t) => {
    cell(row, t.target, "path").title = t.target;
    cell(row, t.paused ? `paused ${span(t.paused_seconds)}` : `${bytes(t.rate)}/s`,
      t.paused ? "n warn" : "n");
    cell(row, t.client);
    cell(row, t.length ? `${bytes(t.sent)} of ${bytes(t.length)}` : bytes(t.sent), "n");
    cell(row, span(t.seconds), "n");
    cell(row, t.worker);
  }, "none");
  table("faults", now.faults, (row, f) => {
    cell(row, new Date(f.time * 1000).toLocaleTimeString());
    cell(row, f.status || "\u2013", "bad");
    cell(row, f.target, "path").title = f.target;
    cell(row, f.fault || f.outcome);
    cell(row, f.detail || "", "path").title = f.detail || "";
  }, "none");
}

function ask_for_token(why) {
  $("login").hidden = false;
  $("main").hidden = true;
  say("refused", why);
  say("state", "locked");
  token = "";
  sessionStorage.removeItem("token");
}

async function poll() {
  clearTimeout(timer);
  try {
    const headers = token ? { authorization: `Bearer ${token}` } : {};
    const answer = await fetch("/status.json",
      { headers, cache: "no-store", signal: AbortSignal.timeout(5000) });
    if (answer.status === 401) {
      ask_for_token(token ? "This is not the token." : "");
      return;
    }
    if (!answer.ok) throw new Error(answer.status);
    show(await answer.json());
    seen = Date.now();
    document.body.dataset.polls = Number(document.body.dataset.polls || 0) + 1;
  } catch (error) {
    $("state").className = "bad";
    say("state", "no answer");
  }
  timer = setTimeout(poll, document.hidden ? 5 * EVERY : EVERY);
}

$("login").addEventListener("submit", event => {
  event.preventDefault();
  token = $("token").value.trim();
  sessionStorage.setItem("token", token);
  $("login").hidden = true;
  $("main").hidden = false;
  poll();
});
document.addEventListener("visibilitychange", () => { if (!document.hidden && timer) poll(); });
setInterval(() => {
  say("age", seen && Date.now() - seen > 2 * EVERY
    ? `as of ${Math.round((Date.now() - seen) / 1000)} s ago` : "");
}, 1000);
poll();
"""

"""The status page: one document with its style and script in it, and nothing from elsewhere.

Its Content-Security-Policy names both by their hash, and lets the script ask its own origin only.
"""

from __future__ import annotations

import base64
import hashlib

from proxy.admin.page_script import SCRIPT
from proxy.admin.page_style import STYLE

_BODY = """
<header>
  <h1>Headgate</h1><span id="state" role="status">connecting</span><span id="age"></span>
</header>
<form id="login" hidden>
  <label>Token of [admin] <input id="token" type="password" autocomplete="off" required></label>
  <button>Show</button><p id="refused" role="alert"></p>
</form>
<main id="main">
  <section class="tiles" aria-label="Now">
    <div class="tile wide"><h2>To clients</h2><p id="out">&ndash;</p>
      <svg id="chart" viewBox="0 0 300 48" preserveAspectRatio="none" aria-hidden="true">
        <path id="area"/><path id="line"/></svg></div>
    <div class="tile"><h2>From origins</h2><p id="in">&ndash;</p><small id="amp"></small></div>
    <div class="tile"><h2>Requests</h2><p id="rate">&ndash;</p><small id="classes"></small></div>
    <div class="tile"><h2>First byte</h2><p id="ttfb">&ndash;</p><small id="ttfb95"></small></div>
    <div class="tile"><h2>Downloads</h2><p id="active">&ndash;</p><small id="success"></small></div>
  </section>
  <section id="cache" hidden><h2>Cache <small id="rests"></small></h2>
    <div class="scroll"><table>
      <thead><tr><th>hits<th>bytes from it<th>on disk<th>in memory</tr></thead>
      <tbody><tr><td id="hits">&ndash;<td id="kept">&ndash;<td id="disk">&ndash;<td id="memory">
      </tr></tbody></table></div></section>
  <section class="pair">
    <div><h2>Origins</h2><table><tbody id="origins"></tbody></table></div>
    <div><h2>Processes</h2><table><thead><tr><th>process<th class="n">CPU<th class="n">memory
      <th class="n">lag</tr></thead><tbody id="processes"></tbody></table></div>
  </section>
  <section><h2>Transfers <small id="flying"></small></h2>
    <div class="scroll"><table><thead><tr><th>path<th class="n">rate<th>client
      <th class="n">sent<th class="n">time<th>worker</tr></thead>
      <tbody id="transfers"></tbody></table></div></section>
  <section><h2>Recent errors</h2>
    <div class="scroll"><table><tbody id="faults"></tbody></table></div></section>
</main>
<footer id="links"><a href="/metrics">metrics</a> <a href="/transfers">transfers</a>
  <a href="/cache">cache</a> <a href="/config">configuration</a>
  <a href="/debug/profile?seconds=10">profile</a>
  <a href="/debug/tasks">tasks</a> <a href="/debug/stalls">stalls</a>
  <a href="/openapi.json">description</a></footer>
"""


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


PAGE = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'
    f"<title>Headgate</title><style>{STYLE}</style></head><body>{_BODY}"
    f"<script>{SCRIPT}</script></body></html>"
)

POLICY = (
    f"default-src 'none'; script-src {_hash(SCRIPT)}; style-src {_hash(STYLE)}; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)

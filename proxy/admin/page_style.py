"""The status page's style: light and dark as the system is, one column on a phone."""

STYLE = """
:root {
  --ground: #f6f7f9; --card: #fff; --text: #1c2430; --soft: #5f6b7a; --line: #dfe3e8;
  --accent: #1668c7; --good: #13795b; --bad: #b3261e; --warn: #8a5a00;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #12161c; --card: #1b2129; --text: #e8ebef; --soft: #98a3b1; --line: #2c343f;
    --accent: #6cb0ff; --good: #5fd0a5; --bad: #ff8a80; --warn: #f2c14e;
  }
}
* { box-sizing: border-box }
body {
  margin: 0 auto; padding: 1rem; max-width: 72rem; background: var(--ground); color: var(--text);
  font: 15px/1.45 system-ui, sans-serif; font-variant-numeric: tabular-nums;
}
header { display: flex; align-items: baseline; gap: .75rem; margin-bottom: 1rem }
h1 { font-size: 1.25rem; margin: 0 }
h2 { font-size: .8rem; font-weight: 600; color: var(--soft); margin: 0 0 .35rem }
#state { padding: .1rem .6rem; border-radius: 1rem; border: 1px solid; font-size: .85rem }
#age { margin-left: auto; color: var(--soft); font-size: .85rem }
.good { color: var(--good) } .bad { color: var(--bad) } .warn { color: var(--warn) }
section { margin-bottom: 1rem }
.tiles { display: grid; grid-template-columns: repeat(6, 1fr); gap: .75rem }
@media (max-width: 60rem) { .tiles { grid-template-columns: repeat(3, 1fr) } }
.tile, .pair > div, section:not(.tiles):not(.pair) {
  background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .75rem;
}
.wide { grid-column: span 2 }
.tile p { font-size: 1.5rem; margin: 0; line-height: 1.2 }
small { color: var(--soft); font-size: .8rem; font-weight: 400 }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: .75rem }
.pair > div { min-width: 0; overflow-x: auto }
svg { width: 100%; height: 3rem; display: block; margin-top: .35rem }
#line { fill: none; stroke: var(--accent); stroke-width: 1.5; vector-effect: non-scaling-stroke }
#area { fill: var(--accent); opacity: .15 }
.scroll { overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-size: .85rem }
th { text-align: left; color: var(--soft); font-weight: 600 }
th, td { padding: .25rem .75rem .25rem 0; white-space: nowrap }
th, td { border-bottom: 1px solid var(--line) }
tr:last-child td { border-bottom: 0 }
.n { text-align: right }
td.path { max-width: 22rem; overflow: hidden; text-overflow: ellipsis }
form { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: 1rem }
input, button { font: inherit; padding: .35rem .6rem; max-width: 100% }
[hidden] { display: none !important }
footer { display: flex; flex-wrap: wrap; gap: 1rem; font-size: .85rem }
a { color: var(--accent) }
@media (max-width: 40rem) {
  .pair { grid-template-columns: 1fr }
  .tiles { grid-template-columns: 1fr 1fr }
  .tile p { font-size: 1.25rem }
  td.path { max-width: 12rem }
}
"""

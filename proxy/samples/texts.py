"""The two samples to read: `readme.txt`, and `player.html` that shows the other ones.

The page needs no script, so it works under `Content-Security-Policy: sandbox` too.
"""

from __future__ import annotations

README = """\
Sample files, made by Headgate itself
=====================================

  player.html         a page that shows the picture and plays the clip
  picture.png         1200 x 800, a still picture
  clip.mp4            30 seconds of H.264 video, 640 x 360, every second can be seeked to
  random-100MiB.bin   100 MiB that look random and are always the same

They may be deleted or replaced; what is missing is made anew at the next start.

Try this, with the address that Headgate printed:

  URL=http://127.0.0.1:8080

  curl -I $URL/clip.mp4                            size, validators, Accept-Ranges
  curl -i -r 0-15 $URL/readme.txt                  206, the first 16 bytes
  curl -i -r -16 $URL/readme.txt                   206, the last 16 bytes
  curl -i -r 0-6,9-15 $URL/readme.txt              206, two parts: multipart/byteranges
  curl -i -r 999999- $URL/readme.txt               416, and how long the file is

  curl -O $URL/random-100MiB.bin                   stop it with Ctrl-C, then ...
  curl -C - -O $URL/random-100MiB.bin              ... go on from there
  sha256sum random-100MiB.bin
  {sha256}
"""

PLAYER = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Headgate: seek in a clip</title>
<link rel="icon" href="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg'
viewBox='0 0 16 16'%3E%3Cpath d='M1 2h14v3H1zM2 5h2v10H2zM12 5h2v10h-2z' fill='%23888'/%3E
%3Cpath d='M5 10h6v5H5z' fill='%232a9fd6'/%3E%3C/svg%3E">
<style>
  :root { color-scheme: light dark; --paper: #fbfaf7; --ink: #1c2430; --quiet: #5b6675;
    --line: #d9dce0; --link: #14618c; --code: #eef0f1; }
  @media (prefers-color-scheme: dark) { :root { --paper: #11161d; --ink: #e6e9ed;
    --quiet: #9aa5b3; --line: #2b3440; --link: #7cc4e8; --code: #1c242e; } }
  * { box-sizing: border-box; }
  body { margin: 0; background: var(--paper); color: var(--ink);
    font: 1rem/1.6 system-ui, sans-serif; }
  main { max-width: 44rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
  h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .5rem; }
  h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; }
  p, ol { margin: .5rem 0 1rem; }
  ol { padding-left: 1.4rem; }
  video, img { display: block; width: 100%; height: auto; border-radius: .5rem;
    border: 1px solid var(--line); background: #0d182a; }
  code { font: .9em/1.4 ui-monospace, monospace; background: var(--code);
    padding: .1em .35em; border-radius: .25em; overflow-wrap: anywhere; }
  a { color: var(--link); }
  .quiet { color: var(--quiet); }
</style>
</head>
<body>
<main>
<h1>Seek in a clip</h1>
<p class="quiet">Thirty seconds of video, sent in ranges. Clock, gauge and bar tell the same
time, so a wrong byte would show.</p>
<video src="clip.mp4" width="640" height="360" controls muted playsinline
  preload="metadata"></video>

<h2>See the ranges</h2>
<ol>
<li>Open the developer tools (<code>F12</code>), then <em>Network</em>.</li>
<li>Play the clip and click somewhere on its time line.</li>
<li>Look at the rows named <code>clip.mp4</code>: the status is <code>206</code>, and
<code>Content-Range</code> among the response headers says which bytes came.</li>
</ol>
<p class="quiet">On the command line:
<code>curl -s -D - -o /dev/null -r 1000000-1999999 &lt;address&gt;/clip.mp4</code></p>

<h2>The picture</h2>
<img src="picture.png" width="1200" height="800"
  alt="Water comes through a headgate between stone walls, at dusk">
<p class="quiet">More to try: <a href="readme.txt">readme.txt</a> and
<a href="random-100MiB.bin">random-100MiB.bin</a>.</p>
</main>
</body>
</html>
"""

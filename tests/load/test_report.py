from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.load import charts
from tests.load.report import main
from tests.load.runs import run

SVG = "{http://www.w3.org/2000/svg}"


def test_a_page_of_several_runs(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two <b>")]
    for speed, folder in enumerate(folders, start=1):
        folder.mkdir()
        (folder / "run.json").write_text(json.dumps(run(speed=speed)))
    (folders[0] / "dashboard.html").touch()
    out = tmp_path / "report.html"
    assert main([*map(str, folders), "--output", str(out)]) == 0
    text = out.read_text()
    assert text.count("<svg") == 6
    assert 'href="one/dashboard.html"' in text
    assert "two &lt;b&gt;" in text
    assert "two <b>" not in text
    elsewhere = text.replace("http://www.w3.org/2000/svg", "")  # a name, not an address
    assert not re.search(r"//|<script|@import", elsewhere)
    HTMLParser().feed(text)


def test_small_figures_are_not_rounded_to_nothing(tmp_path: Path) -> None:
    counted = {"headgate_sent_bytes_total": 1000.0, "headgate_origin_bytes_total": 1.2}
    (tmp_path / "run.json").write_text(json.dumps(run(counted=counted)))
    assert main([str(tmp_path), "--output", str(tmp_path / "report.html")]) == 0
    text = (tmp_path / "report.html").read_text()
    assert "origin&#x27;s bytes per byte sent<td>0.0012" in text
    assert "requests, per s<td>100.0" in text


def test_no_run_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "nothing")]) == 1
    assert "nothing" in capsys.readouterr().err


def test_charts_are_well_formed_and_stay_within_their_frame() -> None:
    seen = [(0, [(float(t), float(t * t)) for t in range(50)]), (1, [(10.0, 3000.0)])]
    for drawn in (
        charts.lines("A & B", "MB/s", seen),
        charts.bars("Latency", "ms", [("p95", [(0, 5.0), (1, 0.0)]), ("p99", [(0, 99.0)])]),
    ):
        root = ET.fromstring(drawn)
        numbers = [one.attrib for one in root.iter(f"{SVG}rect")]
        for one in numbers:
            assert 0 <= float(one["y"]) <= charts.HEIGHT
            assert float(one["height"]) >= 0
        for line in root.iter(f"{SVG}polyline"):
            for x, y in (point.split(",") for point in line.attrib["points"].split()):
                assert 0 <= float(x) <= charts.WIDTH
                assert 0 <= float(y) <= charts.HEIGHT


def test_nothing_to_draw_draws_nothing() -> None:
    assert charts.lines("x", "y", [(0, [])]) == ""
    assert charts.bars("x", "y", [("p95", [])]) == ""
    assert "0 s" in charts.lines("x", "y", [(0, [(0.0, 0.0)])])  # a single point at zero

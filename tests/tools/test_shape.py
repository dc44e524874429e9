"""The measures, on source whose numbers can be counted by hand."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from deploy.tools import shape


def write(root: Path, **files: str) -> list[shape.Module]:
    """The modules of a package made of these files (`a__b` is a/b.py)."""
    for name, text in files.items():
        path = root / "package" / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return shape.read(root / "package")


def function(text: str) -> shape.Function:
    first = ast.parse(text).body[0]
    assert isinstance(first, ast.FunctionDef | ast.AsyncFunctionDef)
    return first


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ("pass", 1),
        ("if a: pass\n elif b: pass\n else: pass", 3),
        ("return a and b and c or d", 4),
        ("return x if y else z", 2),
        ("for i in a:\n  while i: pass", 3),
        ("return [i for i in a if i if not i]", 4),
        ("try: pass\n except A: pass\n except B: pass", 3),
        ("match a:\n  case 1: pass\n  case _: pass", 3),
        ("def inner():\n  if a: pass", 1),
    ],
)
def test_branches(body: str, count: int) -> None:
    assert shape.branches(function(f"def f():\n {body}\n")) == count


def test_code_is_neither_blank_nor_comment_nor_docstring(tmp_path: Path) -> None:
    text = '"""Doc\n\nmore."""\n\n# comment\nx = (1,\n     2)  # two\n\n'
    text += 'def f():\n    """Doc."""\n    y = """a\n\nb"""\n'
    (module,) = write(tmp_path, one=text)
    assert module.code_lines == {6, 7, 9, 11, 12, 13}
    assert module.code_length(module.functions[0]) == 4


def test_circles_are_told_apart_by_how_they_import(tmp_path: Path) -> None:
    modules = write(
        tmp_path,
        a="import package.b",
        b="from package.c import x",
        c="def f():\n    from package import a",
        d="from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import package.e",
        e="import package.d",
    )
    assert shape.cycles(modules, {"runtime"}) == []
    abc = {"package.a", "package.b", "package.c"}
    assert shape.cycles(modules, {"runtime", "late"}) == [abc]
    both = shape.cycles(modules, {"runtime", "late", "type-only"})
    assert both == [abc, {"package.d", "package.e"}]


@pytest.mark.parametrize(
    ("text", "pure"),
    [
        ("import re", True),
        ("import os.path", False),
        ("from asyncio import sleep", False),
        ("def f():\n    import socket", False),
        ("async def f(): pass", False),
        ("x = open('y')", False),
        ("x = y.open('z')", True),
    ],
)
def test_pure(tmp_path: Path, text: str, *, pure: bool) -> None:
    (module,) = write(tmp_path, one=text)
    assert module.is_pure is pure


def test_only_comments_suppress(tmp_path: Path) -> None:
    text = "x = 1  # type: ignore[misc]  # why\ny = '# type: ignore'\n# a type: ignore is rare\n"
    (module,) = write(tmp_path, one=text)
    assert module.suppressions == ["# type: ignore[misc]  # why"]


def test_public_names(tmp_path: Path) -> None:
    text = '"""Doc."""\nclass A:\n    def b(self): "doc"\n    def _c(self): ...\ndef d(): ...\n'
    (module,) = write(tmp_path, one=text)
    one = "package.one"
    found = [(one, True), (f"{one}.A", False), (f"{one}.A.b", True), (f"{one}.d", False)]
    assert list(module.public()) == found


def test_modules_without_a_test_file(tmp_path: Path) -> None:
    code = "def f(): ..."
    modules = write(tmp_path, __init__="", a=code, b__c=code, b__d=code, b__data="x = 1")
    (tmp_path / "tests" / "b").mkdir(parents=True)
    (tmp_path / "tests" / "test_a.py").touch()
    (tmp_path / "tests" / "b" / "test_c_more.py").touch()
    assert shape.untested(modules, tmp_path / "tests") == ["package.b.d"]


def test_quantiles() -> None:
    assert shape.quantile([], 0.5) == 0
    assert shape.quantile([3, 1, 2], 0.5) == 2
    assert shape.quantile(range(100), 0.95) == 95


def test_the_table_of_this_tree_has_every_measure() -> None:
    modules = shape.read(Path("proxy"))
    rows = [*shape.function_rows(modules), *shape.module_rows(modules, Path("tests"))]
    assert len(rows) == 8
    assert all(row.ours and row.aim for row in rows)

"""The tree in numbers, each beside what we aim at: `just shape`. A miss is a reason to look.

Read from the source by `ast`, without importing it; only the type errors are counted by mypy.

- A function's length is its lines from `def` on, blank ones and docstring included; its lines of
  code are what remains without those and without comments.
- Branches are the decisions in it (`if`, `for`, `while`, `except`, `case`, `and`/`or`,
  conditional expressions and comprehensions' `for` and `if`), a nested function's not included.
- A module is without I/O if it imports nothing of `_INPUT_OUTPUT`, calls no `open` and has no
  `async`.
- A test file of its own is tests/<room>/test_<module>.py or test_<module>_<part>.py.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)

_INPUT_OUTPUT = {
    "aiobotocore", "aiofiles", "aiohttp", "asyncio", "botocore", "concurrent", "fcntl", "h11", "h2",
    "hypercorn", "logging", "mmap", "multiprocessing", "os", "resource", "shutil", "signal",
    "socket", "ssl", "starlette", "subprocess", "tempfile", "threading", "time", "uvloop",
}  # fmt: skip
_DECISIONS = (
    ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.match_case,
)  # fmt: skip


class Module:
    """One source file, read once."""

    def __init__(self, path: Path, root: Path) -> None:
        self.path = path
        parts = path.relative_to(root).with_suffix("").parts
        self.name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        self.text = path.read_text(encoding="utf-8")
        self.tree = ast.parse(self.text)

    @property
    def lines(self) -> int:
        """Raw lines, blank ones too."""
        return self.text.count("\n")

    @cached_property
    def code_lines(self) -> set[int]:
        """The numbers of the lines that hold code: no comment, no docstring, not blank."""
        silent = {
            tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
            tokenize.ENCODING, tokenize.ENDMARKER,
        }  # fmt: skip
        lines: set[int] = set()
        for token in tokenize.generate_tokens(io.StringIO(self.text).readline):
            if token.type not in silent:
                lines.update(range(token.start[0], token.end[0] + 1))
        return lines - {line for docstring in self._docstrings() for line in docstring}

    def _docstrings(self) -> Iterator[range]:
        for node in ast.walk(self.tree):
            if isinstance(node, (ast.Module, ast.ClassDef, *_FUNCTIONS)):
                match node.body:
                    case [ast.Expr(value=ast.Constant(value=str())) as first, *_]:
                        yield range(first.lineno, (first.end_lineno or first.lineno) + 1)

    @cached_property
    def functions(self) -> list[Function]:
        """All functions and methods, nested ones too."""
        return [n for n in ast.walk(self.tree) if isinstance(n, _FUNCTIONS)]

    def code_length(self, function: Function) -> int:
        """Lines of code in `function`."""
        lines = range(function.lineno, (function.end_lineno or function.lineno) + 1)
        return len(self.code_lines.intersection(lines))

    @cached_property
    def imports(self) -> list[tuple[str, str]]:
        """Every (imported name, kind), in the order of the file."""
        return list(_imports(self.tree.body, "runtime"))

    @property
    def is_pure(self) -> bool:
        """Without input and output, as far as its own text shows."""
        if any(name.split(".")[0] in _INPUT_OUTPUT for name, _ in self.imports):
            return False
        for node in ast.walk(self.tree):
            if isinstance(node, (ast.AsyncFunctionDef, ast.Await)):
                return False
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "open":
                return False
        return True

    @cached_property
    def suppressions(self) -> list[str]:
        """Its comments that silence the type checker."""
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        comments = (token.string for token in tokens if token.type == tokenize.COMMENT)
        return [comment for comment in comments if re.match(r"#\s*type:\s*ignore", comment)]

    def public(self) -> Iterator[tuple[str, bool]]:
        """Each public name that can have a docstring, and whether it has one."""
        yield self.name, ast.get_docstring(self.tree) is not None
        yield from _public(self.tree.body, self.name)


def read(package: Path) -> list[Module]:
    """All modules of `package`, by name."""
    modules = [Module(path, package.parent) for path in package.rglob("*.py")]
    return sorted(modules, key=lambda module: module.name)


def _imports(body: Iterable[ast.AST], kind: str) -> Iterator[tuple[str, str]]:
    for node in body:
        if isinstance(node, ast.Import):
            yield from ((alias.name, kind) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # The name may be a module or something in one; `cycles` knows which.
            yield from ((f"{node.module}.{alias.name}", kind) for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from _imports(node.body, "type-only")
            yield from _imports(node.orelse, kind)
        else:
            inside = "late" if isinstance(node, _FUNCTIONS) else kind
            yield from _imports(ast.iter_child_nodes(node), inside)


def _public(body: Iterable[ast.stmt], prefix: str) -> Iterator[tuple[str, bool]]:
    for node in body:
        if isinstance(node, (ast.ClassDef, *_FUNCTIONS)) and not node.name.startswith("_"):
            name = f"{prefix}.{node.name}"
            yield name, ast.get_docstring(node) is not None
            if isinstance(node, ast.ClassDef):
                yield from _public(node.body, name)


def branches(function: Function) -> int:
    """The decisions in `function`, plus one."""
    count = 1
    pending: list[ast.AST] = list(function.body)
    while pending:
        node = pending.pop()
        if isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
            continue
        if isinstance(node, _DECISIONS):
            count += 1
        elif isinstance(node, ast.BoolOp):
            count += len(node.values) - 1
        elif isinstance(node, ast.comprehension):
            count += 1 + len(node.ifs)
        pending.extend(ast.iter_child_nodes(node))
    return count


def cycles(modules: Sequence[Module], kinds: set[str]) -> list[set[str]]:
    """Groups of modules that import each other, following imports of these kinds."""
    names = {module.name for module in modules}
    graph: dict[str, set[str]] = defaultdict(set)
    for module in modules:
        for imported, kind in module.imports:
            target = imported if imported in names else imported.rpartition(".")[0]
            if kind in kinds and target in names - {module.name}:
                graph[module.name].add(target)
    reach = {name: _reachable(graph, name) for name in names}
    groups = {frozenset(b for b in reach[a] if a in reach[b]) for a in names if a in reach[a]}
    return [set(group) for group in sorted(groups, key=sorted)]


def _reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    pending = list(graph[start])
    while pending:
        name = pending.pop()
        if name not in seen:
            seen.add(name)
            pending.extend(graph[name])
    return seen


def untested(modules: Sequence[Module], tests: Path) -> list[str]:
    """The modules with code, and without a test file of their own."""
    missing = []
    for module in modules:
        if not module.functions:
            continue
        *_, stem = parts = module.name.split(".")[1:] or [module.name]
        room = tests.joinpath(*parts[:-1])
        if module.path.name == "__init__.py":
            room = tests.joinpath(*parts)
        stem = stem.strip("_")
        if not [*room.glob(f"test_{stem}.py"), *room.glob(f"test_{stem}_*.py")]:
            missing.append(module.name)
    return missing


def share(part: float, whole: float) -> float:
    """A percentage; of nothing, all of it."""
    return 100 * part / whole if whole else 100.0


def quantile(values: Sequence[int], at: float) -> int:
    """The value that this share of them does not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(at * len(ordered)))] if ordered else 0


@dataclass(frozen=True)
class Row:
    """One measure: what we have, what we aim at, and where to look if that is missed."""

    measure: str
    ours: str
    aim: str
    met: bool
    where: str = ""


def function_rows(modules: Sequence[Module]) -> Iterator[Row]:
    """Length and branches of functions."""
    every = [(module, function) for module in modules for function in module.functions]
    raw = [(f.end_lineno or f.lineno) - f.lineno + 1 for _, f in every]
    median, p95 = quantile(raw, 0.5), quantile(raw, 0.95)
    met = median <= 8 and p95 <= 40
    yield Row("function length, raw, median / p95", f"{median} / {p95}", "8 / 40", met)

    def place(found: tuple[Module, Function]) -> str:
        return f"{found[0].path}:{found[1].lineno} {found[1].name}"

    by_code = max(every, key=lambda found: found[0].code_length(found[1]))
    code = by_code[0].code_length(by_code[1])
    yield Row("longest function, lines of code", f"{code}", "50", code <= 50, place(by_code))
    counts = [branches(f) for _, f in every]
    p95, most = quantile(counts, 0.95), max(counts)
    where = place(every[counts.index(most)])
    ours = f"{p95} / {most}"
    yield Row("branches in a function, p95 / max", ours, "8 / 12", p95 <= 8 and most <= 12, where)


def module_rows(modules: Sequence[Module], tests: Path) -> Iterator[Row]:
    """Length, cycles, purity, documentation and tests of modules."""
    longest = max(modules, key=lambda module: module.lines)
    median = quantile([module.lines for module in modules if module.code_lines], 0.5)
    met = median <= 150 and longest.lines <= 300
    ours = f"{median} / {longest.lines}"
    yield Row("file length, median / max", ours, "150 / 300", met, str(longest.path))

    kinds = [{"runtime"}, {"runtime", "late"}, {"runtime", "late", "type-only"}]
    found = [cycles(modules, kind) for kind in kinds]
    counts = [len(one) for one in found]
    ours = " / ".join(str(count) for count in counts)
    first = " <-> ".join(sorted(found[-1][0])) if found[-1] else ""
    yield Row("import cycles: runtime / + late / + type-only", ours, "0 / 0 / 0", not first, first)

    pure = sum(len(module.code_lines) for module in modules if module.is_pure)
    percent = share(pure, sum(len(module.code_lines) for module in modules))
    yield Row("code in modules without I/O", f"{percent:.0f} %", "35 %", percent >= 35)

    public = [one for module in modules for one in module.public()]
    bare = [name for name, documented in public if not documented]
    percent = share(len(public) - len(bare), len(public))
    yield Row("public names documented", f"{percent:.0f} %", "90 %", percent >= 90, _some(bare))

    missing = untested(modules, tests)
    with_code = sum(1 for module in modules if module.functions)
    percent = share(with_code - len(missing), with_code)
    where = _some(missing)
    yield Row("modules with their own test file", f"{percent:.0f} %", "100 %", not missing, where)


def type_rows(modules: Sequence[Module]) -> Iterator[Row]:
    """What the type checker says, and what is kept from it."""
    said = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-color-output"],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    faults = [line for line in said.stdout.splitlines() if ": error: " in line]
    if said.returncode not in (0, 1) or (said.returncode == 1 and not faults):
        faults = ["mypy itself failed", *said.stderr.splitlines()]
    where = faults[0].partition(": error")[0] if faults else ""
    yield Row("mypy --strict errors", str(len(faults)), "0", not faults, where)
    ignores = [(module, one) for module in modules for one in module.suppressions]
    where = _some([f"{module.path}" for module, _ in ignores])
    yield Row("type: ignore", str(len(ignores)), "5", len(ignores) <= 5, where)


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown


def main() -> int:
    """Prints the table; always 0, since it judges nothing."""
    modules = read(Path("proxy"))
    tests = [*read(Path("tests")), *read(Path("deploy"))]
    rows = [
        *function_rows(modules),
        *module_rows(modules, Path("tests")),
        *type_rows([*modules, *tests]),
    ]
    print(
        f"{len(modules)} modules, {sum(len(module.code_lines) for module in modules)} lines of code"
    )
    print(f"{'':2}{'measure':<47}{'ours':>12}   aim")
    for row in rows:
        print(f"{'' if row.met else '*':<2}{row.measure:<47}{row.ours:>12}   {row.aim}")
        if row.where and not row.met:
            print(f"{'':4}{row.where}")
    print("* missed: a reason to look. Branch coverage: just coverage.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

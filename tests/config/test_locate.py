"""The key locator, against lines noted by hand, and against `tomllib` on made-up documents."""

from __future__ import annotations

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from proxy.config.locate import locate
from proxy.config.sources import KeyPath

DOCUMENT = '''\
# a comment with = and [brackets]
title = "a # b"
site."goo.gle".'x y' = 1
"key = \\"x\\"" = 2

[server]
bind = [ # first
  "a]", 'b"',
  # nothing
  { name = "c", deep = [ 1, [ 2,
     3 ] ] },
]
text = """
[not.a.table]
key = "no"
\\""" still """""
raw = \'\'\'
x = 1 \\\'\'\'\'
when = 2024-01-01 12:00:00  # and so on
inline = { a.b = 1, c = { }, d = [] }

  [ server . "tls" ]
key=1

[[mounts]]
path = "/"
[mounts.more]
x = 1
[[mounts.parts]]
y = 1
[[mounts.parts]]
y = 2
[[mounts]]
path = "/b"'''


def test_lines() -> None:
    assert locate(DOCUMENT) == {
        ("title",): 2,
        ("site",): 3,
        ("site", "goo.gle"): 3,
        ("site", "goo.gle", "x y"): 3,
        ('key = "x"',): 4,
        ("server",): 6,
        ("server", "bind"): 7,
        ("server", "bind", 0): 8,
        ("server", "bind", 1): 8,
        ("server", "bind", 2): 10,
        ("server", "bind", 2, "name"): 10,
        ("server", "bind", 2, "deep"): 10,
        ("server", "bind", 2, "deep", 0): 10,
        ("server", "bind", 2, "deep", 1): 10,
        ("server", "bind", 2, "deep", 1, 0): 10,
        ("server", "bind", 2, "deep", 1, 1): 11,
        ("server", "text"): 13,
        ("server", "raw"): 17,
        ("server", "when"): 19,
        ("server", "inline"): 20,
        ("server", "inline", "a"): 20,
        ("server", "inline", "a", "b"): 20,
        ("server", "inline", "c"): 20,
        ("server", "inline", "d"): 20,
        ("server", "tls"): 22,
        ("server", "tls", "key"): 23,
        ("mounts",): 25,
        ("mounts", 0): 25,
        ("mounts", 0, "path"): 26,
        ("mounts", 0, "more"): 27,
        ("mounts", 0, "more", "x"): 28,
        ("mounts", 0, "parts"): 29,
        ("mounts", 0, "parts", 0): 29,
        ("mounts", 0, "parts", 0, "y"): 30,
        ("mounts", 0, "parts", 1): 31,
        ("mounts", 0, "parts", 1, "y"): 32,
        ("mounts", 1): 33,
        ("mounts", 1, "path"): 34,
    }
    assert set(locate(DOCUMENT)) == paths_in(tomllib.loads(DOCUMENT))


def test_an_empty_text_has_no_keys() -> None:
    assert locate("") == {}
    assert locate("\n # nothing \n\n") == {}


def paths_in(tree: object, path: KeyPath = ()) -> set[KeyPath]:
    """All key paths of what `tomllib` read."""
    found = {path} if path else set()
    if isinstance(tree, dict):
        for key, below in tree.items():
            found |= paths_in(below, (*path, key))
    elif isinstance(tree, list):
        for number, below in enumerate(tree):
            found |= paths_in(below, (*path, number))
    return found


# --- documents made by Hypothesis, with the lines their writer put things on ------------------

plain = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)
awkward = st.sampled_from(["a]b", "[x]", "}", "#", "a = 1", ",", "'", '"', "\\", "{", "'''", '"'])
texts = st.one_of(plain, awkward)
bare = st.from_regex(r"[A-Za-z0-9_-]{1,4}", fullmatch=True)


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def multi_line(text: str) -> str:
    return f'"""\n{quoted(text)[1:-1]}\n\n"""'


keys = st.one_of(bare.map(lambda key: (key, key)), texts.map(lambda key: (key, quoted(key))))
scalars = st.one_of(
    st.integers().map(str),
    st.booleans().map(lambda value: str(value).lower()),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.just("1979-05-27T07:32:00Z"),
    texts.map(quoted),
    texts.map(multi_line),
    texts.filter(lambda text: "'" not in text).map(lambda text: f"'{text}'"),
    texts.filter(lambda text: "'" not in text).map(lambda text: f"'''a\n{text}\n'''"),
)
gaps = st.sampled_from(["", " ", "\n", " # ], } \n", "\n\n  "])
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(st.tuples(gaps, inner, gaps), max_size=3),
        st.dictionaries(keys, inner, max_size=3),
    ),
    max_leaves=6,
)


class Writer:
    """Writes values, and notes on which line each begins."""

    def __init__(self) -> None:
        self.text = ""
        self.lines: dict[KeyPath, int] = {}

    def note(self, path: KeyPath) -> None:
        self.lines[path] = self.text.count("\n") + 1

    def value(self, path: KeyPath, value: object) -> None:
        if isinstance(value, list):
            self.text += "["
            for number, (before, element, after) in enumerate(value):
                self.text += before
                self.note((*path, number))
                self.value((*path, number), element)
                self.text += f"{after},"
            self.text += "]"
        elif isinstance(value, dict):
            self.text += "{"
            for number, ((key, written), element) in enumerate(value.items()):
                self.text += ", " if number else " "
                self.pair(path, key, written, element)
            self.text += " }"
        else:
            self.text += str(value)

    def pair(self, path: KeyPath, key: str, written: str, value: object) -> None:
        self.note((*path, key))
        self.text += f"{written} = "
        self.value((*path, key), value)


tables = st.dictionaries(keys, values, max_size=3)
line_ends = st.sampled_from(["\n", "  # = [\n", "\n\n"])


@st.composite
def documents(draw: st.DrawFn) -> Writer:
    """Pairs, then tables, then arrays of tables; a key that comes twice makes it no TOML."""
    writer = Writer()

    def write(path: KeyPath) -> None:
        for (key, written), value in draw(tables).items():
            writer.pair(path, key, written, value)
            writer.text += draw(line_ends)

    write(())
    for key, written in draw(st.lists(keys, max_size=2, unique_by=lambda key: key[0])):
        writer.note((key,))
        writer.text += f"[ {written} ]\n"
        write((key,))
    for key, written in draw(st.lists(keys, max_size=2, unique_by=lambda key: key[0])):
        writer.note((key,))
        for number in range(draw(st.integers(1, 3))):
            writer.note((key, number))
            writer.text += f"  [[{written}]] # [\n"
            write((key, number))
    return writer


def is_toml(writer: Writer) -> bool:
    """Whether `tomllib` takes it: a key may come twice, or an inline table have line breaks."""
    try:
        tomllib.loads(writer.text)
    except tomllib.TOMLDecodeError:
        return False
    return True


@given(documents().filter(is_toml))
def test_it_finds_what_tomllib_reads_on_the_lines_it_was_written(writer: Writer) -> None:
    assert locate(writer.text) == writer.lines
    assert set(writer.lines) == paths_in(tomllib.loads(writer.text))

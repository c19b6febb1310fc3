"""Edits of a TOML file: the wanted change, and every other byte as it was."""

from __future__ import annotations

import copy
import tomllib
from typing import Any

import pytest
import tomlkit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sipx.config.document import Document
from sipx.config.errors import ConfigError
from sipx.config.notation import key_text, toml_value

TEXT = """\
#:schema ./sipx.schema.json
# the proxy of the laboratory
domains = ["example.com", # ours
  "example.org"]

[interface.wan]   # towards the world
  port = 5061 # the usual
  tls.version = "1.2"
#bind = "192.0.2.1"

# ---- routes ----

# the partner
[static-routes.route."partner.example"]
server = { host = "a.example", ports = [5060, 5061] }
"""
ROUTE = ("static-routes", "route", "partner.example")


def edited(text: str, edit: str, *words: Any) -> str:
    document = Document.from_text(text)
    getattr(document, edit)(*words)
    assert document.values() == tomllib.loads(document.text)
    return document.text


# ---------------------------------------------------------------- a missing key


@pytest.mark.parametrize(
    ("path", "value", "behind", "line"),
    [
        (("plugins",), ["udp"], '  "example.org"]\n', 'plugins = ["udp"]\n'),
        (("interface", "wan", "role"), "lan", '  tls.version = "1.2"\n', '  role = "lan"\n'),
        (("interface", "wan", "tls", "ca"), 1, '  tls.version = "1.2"\n', "  tls.ca = 1\n"),
        (("interface", "wan", "bind"), "*", '#bind = "192.0.2.1"\n', 'bind = "*"\n'),
        ((*ROUTE, "port"), 5060, "5061] }\n", "port = 5060\n"),
    ],
    ids=["top", "end-of-table", "dotted", "below-its-comment", "last-table"],
)
def test_a_missing_key_gets_a_line_in_its_table(path, value, behind, line):
    assert edited(TEXT, "set", path, value) == TEXT.replace(behind, behind + line)


def test_a_missing_entry_goes_into_the_inline_table():
    new = edited(TEXT, "set", (*ROUTE, "server", "a b"), True)
    assert new == TEXT.replace("5061] }", '5061], "a b" = true }')
    new = edited("a = {} # none\n", "set", ("a", "b", "c"), 1)
    assert new == "a = { b.c = 1 } # none\n"


def test_the_first_key_of_a_file_stands_before_the_first_table_and_its_comment():
    text = "#:schema x\n# about a\n[a]\nb = 1\n"
    new = edited(text, "set", ("domains",), ["x"])
    assert new == '#:schema x\ndomains = ["x"]\n\n# about a\n[a]\nb = 1\n'
    assert edited("", "set", ("a",), 1) == "a = 1\n"
    assert edited("# only this\n", "set", ("a",), 1) == "# only this\n\na = 1\n"


def test_a_missing_table_comes_behind_its_like_or_at_the_end():
    new = edited(TEXT, "set", ("interface", "lan", "port"), 5060)
    comment = '#bind = "192.0.2.1"\n'
    assert new == TEXT.replace(comment, comment + "\n[interface.lan]\nport = 5060\n")
    assert edited(TEXT, "set", ("dns", "timeout"), "5s") == TEXT + '\n[dns]\ntimeout = "5s"\n'


def test_a_table_comes_before_those_below_it():
    new = edited(TEXT, "set", ("static-routes", "enabled"), False)
    mark = "# the partner\n"
    assert new == TEXT.replace(mark, "[static-routes]\nenabled = false\n\n" + mark)


@pytest.mark.parametrize(
    ("text", "new"),
    [
        ("[a]\nb = 1", "[a]\nb = 1\nc = 2"),
        ("[a]", "[a]\nc = 2"),
        ("[a]\r\nb = 1\r\n\r\n[d]\r\n", "[a]\r\nb = 1\r\nc = 2\r\n\r\n[d]\r\n"),
        ("[a]\nb = '''\n#c = 1\n'''\n", "[a]\nb = '''\n#c = 1\n'''\nc = 2\n"),
        ("[a]\nb = '''\n'''\n# [x]\n", "[a]\nb = '''\n'''\nc = 2\n# [x]\n"),
        ('[a]\nb = """\n# x"""\n[d]\n', '[a]\nb = """\n# x"""\nc = 2\n[d]\n'),
    ],
    ids=["no-line-end", "empty", "windows", "in-a-text", "comment-behind", "no-comment"],
)
def test_line_ends_and_texts_over_several_lines_are_minded(text, new):
    assert edited(text, "set", ("a", "c"), 2) == new


# ---------------------------------------------------------------- lists


@pytest.mark.parametrize(
    ("text", "new"),
    [
        ("a = []", "a = [9]"),
        ("a = [1]", "a = [1, 9]"),
        ("a = [1, 2, ]", "a = [1, 2, 9, ]"),
        ("a = [\n  1, # one\n  2 # two\n]", "a = [\n  1, # one\n  2, # two\n  9,\n]"),
        ("a = [\n  1,\n]\n", "a = [\n  1,\n  9,\n]\n"),
        ("a = [\n  1, # one\n  # more\n]\n", "a = [\n  1, # one\n  9,\n  # more\n]\n"),
        ("a = [1,\n  2]", "a = [1,\n  2,\n  9]"),
        ("a = [ # none\n]", "a = [9 # none\n]"),
    ],
)
def test_the_number_behind_the_last_item_adds_one(text, new):
    document = Document.from_text(text)
    count = len(document.values()["a"])
    document.set(("a", count), 9)
    assert document.text == new


@pytest.mark.parametrize(
    ("text", "number", "new"),
    [
        ("a = [1]", 0, "a = []"),
        ("a = [1, 2, 3]", 0, "a = [2, 3]"),
        ("a = [1, 2, 3]", 1, "a = [1, 3]"),
        ("a = [1, 2, 3]", 2, "a = [1, 2]"),
        ("a = [1, 2,]", 1, "a = [1,]"),
        ("a = [\n  1, # one\n  2, # two\n]", 0, "a = [\n  2, # two\n]"),
        ("a = [\n  1, # one\n  2 # two\n]", 1, "a = [\n  1, # one\n]"),
        ("a = [1, # one\n  2]", 0, "a = [ # one\n  2]"),
    ],
)
def test_an_item_goes_with_its_comma(text, number, new):
    assert edited(text, "unset", ("a", number)) == new


# ---------------------------------------------------------------- taking away


def test_a_key_goes_with_its_line_and_the_comments_above_it_stay():
    new = edited(TEXT, "unset", ("interface", "wan", "port"))
    assert new == TEXT.replace("  port = 5061 # the usual\n", "")
    new = edited(TEXT, "unset", ("domains",))
    assert new == TEXT.replace('domains = ["example.com", # ours\n  "example.org"]\n', "")


def test_an_entry_of_an_inline_table_goes_with_its_comma():
    path = (*ROUTE, "server")
    assert edited(TEXT, "unset", (*path, "host")) == TEXT.replace('host = "a.example", ', "")
    assert edited(TEXT, "unset", (*path, "ports")) == TEXT.replace(", ports = [5060, 5061]", "")
    assert edited("a = { b = 1 }", "unset", ("a", "b")) == "a = {}"


def test_a_table_goes_with_its_comments_and_no_others():
    assert edited(TEXT, "remove_table", ("interface", "wan")) == (
        TEXT.partition("[interface")[0] + "# ---- routes" + TEXT.partition("# ---- routes")[2]
    )
    assert edited(TEXT, "remove_table", ("static-routes",)) == TEXT.partition("\n# the partner")[0]


def test_a_table_goes_with_those_below_it():
    text = "[a]\nx = 1\n\n# c\n[a.b]\ny = 1\n\n[c]\n# d\n[a.d]\n"
    assert edited(text, "remove_table", ("a",)) == "[c]\n"
    assert edited("a.b.c = 1\na.d = 2\nx = 3\n", "remove_table", ("a",)) == "x = 3\n"
    assert edited("a = { b = { c = 1 }, d = 2 }", "remove_table", ("a", "b")) == "a = { d = 2 }"


# ---------------------------------------------------------------- adding tables


def test_a_table_is_added_with_a_comment_and_one_blank_line_around():
    values = {"server": "b.example", "password": {"env": "X"}}
    path = ("static-routes", "route", "b.example")
    assert edited(TEXT, "add_table", path, values, "the second\n\npartner") == TEXT + (
        '\n# the second\n#\n# partner\n[static-routes.route."b.example"]\n'
        'server = "b.example"\npassword = { env = "X" }\n'
    )


def test_where_no_header_can_stand_a_table_is_added_inline():
    new = edited("r = { a = 1 }\n", "add_table", ("r", "b"), {"c": 2})
    assert new == "r = { a = 1, b = { c = 2 } }\n"
    new = edited("r.a.x = 1\n", "add_table", ("r", "b"), {"c": 2})
    assert new == "r.a.x = 1\nr.b = { c = 2 }\n"


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("edit", "words", "error"),
    [
        ("set", (("interface", "wan", "port", "x"), 1), ConfigError),
        ("set", (("domains", "x"), 1), ConfigError),
        ("set", (("domains", 3), 1), KeyError),
        ("set", (("new", 0), 1), ConfigError),
        ("set", (("interface", "wan"), 1), KeyError),
        ("set", (("interface", "wan", "port"), None), ConfigError),
        ("set", ((), 1), KeyError),
        ("unset", (("interface", "wan"),), KeyError),
        ("unset", (("nothing",),), KeyError),
        ("unset", (("domains", 2),), KeyError),
        ("add_table", (("interface", "wan"), {}), ConfigError),
        ("add_table", (("static-routes", "route"), {"partner.example": {}}), ConfigError),
        ("remove_table", (("domains",),), KeyError),
        ("remove_table", (("nothing",),), KeyError),
    ],
)
def test_nonsense_is_refused_and_changes_nothing(edit, words, error):
    document = Document.from_text(TEXT)
    with pytest.raises(error):
        getattr(document, edit)(*words)
    assert document.text == TEXT


def test_a_change_that_would_change_more_is_refused():
    text = "[[a]]\nb = 1\n[[a]]\nb = 2\n"
    document = Document.from_text(text)
    with pytest.raises(ConfigError, match="edit the file by hand"):
        document.set(("a", "b"), 3)
    assert document.text == text


def test_twenty_edits_change_twenty_values_and_nothing_else():
    lines = [f"# about {n}\n[t{n}] # {n}\n  x = {n}   # the value\n\n" for n in range(20)]
    document = Document.from_text("".join(lines))
    for number in range(20):
        document.set((f"t{number}", "x"), -number)
    expected = [line.replace(f"x = {n} ", f"x = {-n} ") for n, line in enumerate(lines)]
    assert document.text == "".join(expected)


# ---------------------------------------------------------------- generated files

NAMES = st.text("ab-_", min_size=1, max_size=3) | st.text("aü.\"' #=\\", min_size=1, max_size=4)
WORDS = st.text("az #='\"\\ü[]{}", max_size=6)
SCALARS = st.integers(-99, 99) | st.booleans() | WORDS
COMMENT = st.text("az =[]\"'", max_size=8).map(lambda text: f"#{text}")


@st.composite
def arrays(draw: Any, newline: str) -> tuple[str, list[Any]]:
    """A list, written on one line or over several, with comments in it."""
    items = draw(st.lists(SCALARS, max_size=4))
    written = [toml_value(item) for item in items]
    if not draw(st.booleans()):
        return "[" + ", ".join(written) + draw(st.sampled_from(["]", " ]"])), items
    lines = [f"  {item}, {draw(COMMENT)}" for item in written]
    if lines and draw(st.booleans()):
        lines[-1] = f"  {written[-1]} {draw(COMMENT)}"
    return newline.join(["[", *lines, draw(st.sampled_from(["", "  # x"])), "]"]), items


@st.composite
def bodies(draw: Any, newline: str) -> tuple[list[str], dict[str, Any]]:
    """The lines of a table and what they mean."""
    lines, values = [], {}
    for name in draw(st.lists(NAMES, max_size=3, unique=True)):
        lines += draw(st.lists(COMMENT | st.sampled_from(["", "  "]), max_size=2))
        shape = draw(st.sampled_from(["scalar", "array", "inline", "text"]))
        if shape == "array":
            written, value = draw(arrays(newline))
        elif shape == "inline":
            value = draw(st.dictionaries(NAMES, SCALARS, max_size=3))
            written = toml_value(value)
        elif shape == "text":
            written, value = f"'''{newline}#{name} = 1{newline}[x]'''", None
        else:
            value = draw(SCALARS)
            written = toml_value(value)
        if "'''" in written and "'''" in name:
            written, value = "1", 1
        indent, tail = draw(st.sampled_from(["", "  "])), draw(st.just("") | COMMENT)
        lines.append(f"{indent}{key_text(name)} = {written}" + (f" {tail}" if tail else ""))
        values[name] = value
    lines += draw(st.lists(COMMENT | st.just(""), max_size=2))
    return lines, values


@st.composite
def files(draw: Any) -> str:
    """A TOML file in the styles that people have."""
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    lines, top = draw(bodies(newline))
    used = set(top)
    for path in draw(st.lists(st.lists(NAMES, min_size=1, max_size=2), max_size=4)):
        if path[0] in top or tuple(path) in used:
            continue
        used.add(tuple(path))
        inner, values = draw(bodies(newline))
        if any((path[0], name) in used for name in values):
            continue
        used |= {(*path, name) for name in values}
        lines.append("[" + ".".join(map(key_text, path)) + "]")
        lines += inner
    text = newline.join(lines)
    if draw(st.booleans()) and text:
        text += newline
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return "a = 1\n"  # two tables met; the generator is not clever
    return text


def paths(values: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document, tables too."""
    found = []
    inner = values.items() if isinstance(values, dict) else enumerate(values)
    for key, value in inner:
        found.append((*above, key))
        if isinstance(value, (dict, list)):
            found += paths(value, (*above, key))
    return found


def kept(old: str, new: str) -> int:
    """How many characters at the start and at the end of two texts are the same."""
    shorter = min(len(old), len(new))
    start = next((n for n in range(shorter) if old[n] != new[n]), shorter)
    rest = shorter - start
    end = next((n for n in range(rest) if old[-1 - n] != new[-1 - n]), rest)
    return start + end


def changed(values: dict[str, Any], path: tuple[Any, ...], *value: Any) -> dict[str, Any]:
    """The values with one in another place, or (without ``value``) with one less."""
    values = copy.deepcopy(values)
    here: Any = values
    for part in path[:-1]:
        here = here.setdefault(part, {}) if isinstance(here, dict) else here[part]
    if not value:
        del here[path[-1]]
    elif isinstance(here, list) and path[-1] == len(here):
        here.append(value[0])
    else:
        here[path[-1]] = value[0]
    return values


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(files(), st.data())
def test_an_edit_of_any_file_is_this_edit_and_no_other(text, data):
    document = Document.from_text(text)
    old = document.values()
    assert tomlkit.dumps(tomlkit.parse(text)) == text
    places = paths(old)
    written = [path for path in places if document.value_span(path) is not None]
    kind = data.draw(st.sampled_from(["set", "new", "append", "unset", "add", "remove"]))
    value = data.draw(SCALARS | st.lists(SCALARS, max_size=2) | st.just({"k": "v"}))
    if kind == "set" and written:
        path = data.draw(st.sampled_from(written))
        start, end = document.value_span(path)
        document.set(path, value)
        assert document.text.startswith(text[:start])
        assert document.text.endswith(text[end:])
        assert document.values() == changed(old, path, value)
    elif kind in ("new", "add"):
        tables = [path for path in places if isinstance(document.get(path), dict)]
        table = data.draw(st.sampled_from([(), *tables]))
        path = (*table, "new")
        if kind == "new":
            document.set(path, value)
            wanted = changed(old, path, value)
        else:
            document.add_table(path, {"k": value}, "a table")
            wanted = changed(old, path, {"k": value})
        assert kept(text, document.text) == len(text)
        assert document.values() == wanted
    elif kind == "append":
        lists = [path for path in written if isinstance(document.get(path), list)]
        for path in lists[:1]:
            count = len(document.get(path))
            document.set((*path, count), value)
            assert document.values() == changed(old, (*path, count), value)
            assert document.text.count("#") == text.count("#") + toml_value(value).count("#")
    elif kind == "unset" and written:
        path = data.draw(st.sampled_from(written))
        document.unset(path)
        assert kept(text, document.text) == len(document.text)
        assert document.values() == changed(old, path)
    elif kind == "remove":
        tables = [path for path in places if isinstance(document.get(path), dict)]
        for path in tables[:1]:
            others = {p for p in places if p[: len(path)] != path and path[: len(p)] != p}
            document.remove_table(path)
            assert path not in document
            assert all(document.get(p) is not None for p in others)
    assert document.values() == tomllib.loads(document.text)
    assert tomlkit.dumps(tomlkit.parse(document.text)) == document.text
    assert ("\r\n" in document.text) <= ("\r\n" in text)

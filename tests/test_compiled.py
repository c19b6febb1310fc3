"""The hot path, compiled (`make compiled`): the same source, all of it or nothing."""

from __future__ import annotations

import tomllib
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from pathlib import Path

from sipx.cli.version import versions
from sipx.forking import Branch
from sipx.sip.compiled import mypyc_attr
from sipx.sip.transaction import ClientTransaction
from sipx.useragent import OwnRequest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
HOOK = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["mypyc"]
SOURCES = [ROOT / name.lstrip("/") for name in HOOK["include"]]


def loaded_from(source: Path) -> Path:
    found = find_spec(".".join(source.relative_to(ROOT).with_suffix("").parts))
    assert found is not None
    assert found.origin is not None
    return Path(found.origin)


def is_compiled(source: Path) -> bool:
    return loaded_from(source).name.endswith(tuple(EXTENSION_SUFFIXES))


def test_the_modules_that_can_be_compiled_are_there():
    assert [source for source in SOURCES if not source.is_file()] == []


def test_either_all_of_them_are_compiled_or_none():
    compiled = [is_compiled(source) for source in SOURCES]
    assert len(set(compiled)) == 1
    assert versions()["hot path"] == ("compiled" if compiled[0] else "interpreted")


def test_what_was_compiled_is_not_older_than_its_source():
    """Else the tests would test yesterday's code."""
    old = [
        source.name
        for source in SOURCES
        if is_compiled(source) and loaded_from(source).stat().st_mtime < source.stat().st_mtime
    ]
    assert not old, "`make compiled` compiles them again, `make pure` leaves that"


def test_without_the_compiler_its_decorator_does_nothing():
    class Plain:
        pass

    assert mypyc_attr(allow_interpreted_subclasses=True)(Plain) is Plain


def test_a_client_transaction_is_one_whatever_was_asked_before():
    own = OwnRequest()
    assert not isinstance(own, Branch)
    assert isinstance(own, ClientTransaction)

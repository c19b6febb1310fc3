"""``python -m sipx.cli.reference``: write docs/cli.md and the man pages into a checkout.

What they say stands where it is used: in the docstrings and options of the commands, and in those
of the configuration's models. A test compares the files with what is generated here, with the
plugins of the extra ``standard``.
"""

from __future__ import annotations

import re
import sys
import tomllib
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sipx.cli.reference_roff import commands_page, configuration_page
from sipx.cli.reference_tree import (
    ENVIRONMENT,
    EXIT_CODES,
    FILES,
    SIGNALS,
    common_options,
    pages,
    tables,
)
from sipx.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sipx.cli.reference_tree import Option, Page

CHECKOUT: Final = Path(__file__).parents[2]
_HEAD: Final = """\
# The command line

This page and the man page `sipx(1)` are written by `make docs` from the commands themselves. How
they are used: [operations](operations.md).

Results go to stdout, everything else to stderr. A plugin's commands are there when the
configuration file lists the plugin.
"""


def generated(checkout: Path) -> dict[Path, str]:
    """The files that are generated, below the checkout, and what belongs into them."""
    from sipx.cli.root import sipx

    plugins = standard_plugins(checkout)
    commands = pages(sipx, plugins)
    classes, problems = Registry().examine(plugins)
    assert problems == (), problems
    release = version("sipx-proxy")
    return {
        Path("docs/cli.md"): markdown(commands),
        Path("man/sipx.1"): commands_page(commands, common_options(), release),
        Path("man/sipx.toml.5"): configuration_page(
            tables(classes), _example(checkout), list(classes), release
        ),
    }


def standard_plugins(checkout: Path) -> list[str]:
    """The plugins of the extra ``standard``, in its order: those that the pages show."""
    project: dict[str, Any] = tomllib.loads((checkout / "pyproject.toml").read_text())["project"]
    distributions = [
        re.split(r"[^\w.-]", wanted, maxsplit=1)[0]
        for wanted in project["optional-dependencies"]["standard"]
    ]
    found = [entry for entry in entry_points(group="sipx") if entry.dist is not None]
    return [
        entry.name
        for name in distributions
        for entry in sorted(found, key=lambda entry: entry.name)
        if entry.dist is not None and entry.dist.name == name
    ]


def _example(checkout: Path) -> str:
    return (checkout / "docs/examples/minimal.toml").read_text(encoding="utf-8").strip()


# ---------------------------------------------------------------- Markdown


def markdown(commands: Sequence[Page]) -> str:
    """The page of the command line."""
    return "\n".join([_HEAD, *_before(), *_commands(commands)])


def _before() -> Iterator[str]:
    yield "## Options of every command\n"
    yield from _options(common_options())
    yield "## Exit codes\n"
    yield "| code | meaning |\n| --- | --- |"
    yield from (f"| {code} | {words} |" for code, words in EXIT_CODES)
    for heading, rows in (
        ("Signals of sipx run", SIGNALS),
        ("Environment", ENVIRONMENT),
        ("Files", FILES),
    ):
        yield f"\n## {heading}\n"
        yield from (f"- {_code(names)}: {words}" for names, words in rows)
    yield ""


def _code(names: str) -> str:
    return ", ".join(f"`{name}`" for name in names.split(", "))


def _commands(commands: Iterable[Page]) -> Iterator[str]:
    for page in commands:
        yield f"{'##' if page.path.count(' ') == 1 else '###'} {page.path}\n"
        if not page.group:
            yield f"`{page.usage}`\n"
        if page.plugin and page.path.count(" ") == 1:
            yield f"Of the plugin {page.plugin}.\n"
        yield f"{page.text}\n"
        yield from _options(page.options)


def _options(options: Iterable[Option]) -> Iterator[str]:
    given = [f"- `{option.written}`: {option.help}" for option in options]
    if given:
        yield "\n".join(given) + "\n"


# ---------------------------------------------------------------- writing


def main(checkout: Path = CHECKOUT) -> None:
    """Write all of them, and say which have changed."""
    for name, text in generated(checkout).items():
        path = checkout / name
        path.parent.mkdir(exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"{name}\n")


if __name__ == "__main__":
    main()

"""``sipx config get`` and ``show``: settings as they count, and where they come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from sipx.cli.command_line import CommandLine, command_options
from sipx.cli.config_keys import complete_key, path_of, unknown_key
from sipx.cli.editing import config_file_of
from sipx.cli.exits import ExitCode, Failed
from sipx.config.document import dotted
from sipx.config.effective import Setting, settings_of
from sipx.config.errors import ConfigError
from sipx.config.notation import key_text, toml_value

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sipx.config.document import Document, KeyPath


@click.command()
@click.argument("key", shell_complete=complete_key)
@command_options
@click.pass_obj
def get(line: CommandLine, key: str) -> None:
    """One setting: what the file says, else its default. Secrets are not shown.

    Text is printed without quotes, lists and tables as TOML. The exit code is 1 for a key that
    there is not, or that is not set and has no default.
    """
    document = _document(line)
    path = path_of(key, document)
    found = [each for each in settings_of(document, line.registry) if each.path == path]
    if not found:
        inner = _below(document, line, path)
        if not inner:
            raise Failed(unknown_key(path, document, line.registry), ExitCode.BAD_ANSWER)
        whole = {"key": dotted(path), "value": _nested(inner, len(path)), "line": None}
        line.result(whole, _toml(inner, document.path, origin=False, top=len(path)))
        return
    [setting] = found
    if setting.value is None:
        raise Failed(f"{dotted(path)} is not set, and has no default", ExitCode.BAD_ANSWER)
    if setting.line is None:
        line.say("not in the file; this is the default")
    value = setting.value
    data = {"key": dotted(path), "value": value, "line": setting.line}
    line.result(data, value if isinstance(value, str) else toml_value(value))


@click.command()
@click.argument("key", required=False, shell_complete=complete_key)
@click.option("--origin", is_flag=True, help="Say where each value comes from.")
@click.option("--defaults", is_flag=True, help="Also what is not in the file, with its default.")
@command_options
@click.pass_obj
def show(line: CommandLine, key: str | None, origin: bool, defaults: bool) -> None:
    """All settings, or those of one table, as TOML. Secrets are not shown."""
    document = _document(line)
    path: KeyPath = () if key is None else path_of(key, document)
    found = [
        each
        for each in settings_of(document, line.registry)
        if each.path[: len(path)] == path and (defaults or each.line is not None)
    ]
    if not found and path not in document:
        known = _below(document, line, path, defaults=True)
        if not known:
            raise Failed(unknown_key(path, document, line.registry), ExitCode.BAD_ANSWER)
        line.say(f"nothing of {dotted(path)} is in the file; --defaults shows what counts")
    data = [
        {
            "key": dotted(each.path),
            "value": each.value,
            "origin": _origin(each, document.path),
            "line": each.line,
        }
        for each in found
    ]
    line.result(
        {"file": str(document.path), "settings": data}, _toml(found, document.path, origin=origin)
    )


def _document(line: CommandLine) -> Document:
    try:
        return config_file_of(line).read()
    except ConfigError as error:
        raise Failed(str(error), ExitCode.CONFIGURATION) from error


def _below(
    document: Document, line: CommandLine, path: KeyPath, *, defaults: bool = False
) -> list[Setting]:
    return [
        each
        for each in settings_of(document, line.registry)
        if each.path[: len(path)] == path and (defaults or each.line is not None)
    ]


def _nested(settings: list[Setting], top: int) -> dict[str, Any]:
    whole: dict[str, Any] = {}
    for each in settings:
        here = whole
        for part in each.path[top:-1]:
            here = here.setdefault(str(part), {})
        here[str(each.path[-1])] = each.value
    return whole


def _origin(setting: Setting, path: Path) -> str:
    return "default" if setting.line is None else f"{path}:{setting.line}"


def _toml(settings: list[Setting], path: Path, *, origin: bool, top: int = 0) -> Iterator[str]:
    """Settings as a TOML file, each table with its header."""
    table: KeyPath | None = None
    rows: list[tuple[str, str]] = []
    for each in settings:
        if each.path[:-1] != table:
            yield from _aligned(rows)
            rows = []
            if table is not None:
                yield ""
            table = each.path[:-1]
            if len(table) > top:
                yield click.style(f"[{dotted(table)}]", bold=True)
        key = key_text(str(each.path[-1]))
        text = f"# {key} is not set" if each.value is None else f"{key} = {toml_value(each.value)}"
        rows.append((text, f"# {_origin(each, path)}" if origin else ""))
    yield from _aligned(rows)


def _aligned(rows: list[tuple[str, str]]) -> Iterator[str]:
    width = max((len(text) for text, _ in rows if len(text) <= 60), default=0)
    for text, note in rows:
        yield f"{text.ljust(width)}  {note}".rstrip() if note else text

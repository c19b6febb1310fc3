"""What the reference pages are made of: the commands as click knows them, the tables of the
configuration as pydantic knows them, and what neither knows.
"""

from __future__ import annotations

import re
from inspect import cleandoc
from typing import TYPE_CHECKING, Any, Final, NamedTuple, get_args

import click
from pydantic import BaseModel

from sipx.cli.command_line import CommandLine, command_options
from sipx.cli.exits import MEANINGS
from sipx.config.model import KernelConfig
from sipx.config.schema import Tolerant
from sipx.config.values import duration_text, is_duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pydantic.fields import FieldInfo

EXIT_CODES: Final = tuple((str(int(code)), words) for code, words in MEANINGS.items())
SIGNALS: Final = (
    (
        "TERM, INT",
        "Let what is under way finish, within `service.stop_timeout`, and end with exit code 0; a "
        "second one ends at once.",
    ),
    ("HUP", "Read the configuration file again and apply it; with what is wrong in it, nothing."),
    ("USR1", "Open log files anew, after they were moved away."),
)
ENVIRONMENT: Final = (
    ("SIPX_CONFIG", "The configuration file, where no --config names one."),
    ("SIPX_SOCKET", "The control socket of the running process."),
    ("NO_COLOR, FORCE_COLOR, TERM=dumb", "Whether there are colours, where --color does not say."),
    (
        "XDG_CONFIG_HOME, XDG_STATE_HOME, XDG_RUNTIME_DIR, XDG_CACHE_HOME",
        "Where the files of a user are.",
    ),
    (
        "CONFIGURATION_DIRECTORY, STATE_DIRECTORY, RUNTIME_DIRECTORY, NOTIFY_SOCKET, WATCHDOG_USEC",
        "Set by systemd: where the files of the service are, and whom to tell how it is.",
    ),
)
FILES: Final = (
    (
        "./sipx.toml, ~/.config/sipx/sipx.toml, /etc/sipx/sipx.toml",
        "The configuration file: the first of them that is there.",
    ),
    ("/var/lib/sipx, ~/.local/state/sipx", "What survives a restart: `service.state_dir`."),
    ("/run/sipx/control.sock", "The control socket of the service: `service.control_socket`."),
)
VERBATIM: Final = " " * 4
"""In front of lines that stand as they are."""


class Option(NamedTuple):
    """An option or an argument, as it is written, and what it means."""

    written: str
    help: str


class Page(NamedTuple):
    """One command. ``plugin`` is whose it is, "" for one of sipx itself; ``group`` has others."""

    path: str
    usage: str
    text: str
    options: tuple[Option, ...]
    plugin: str
    group: bool


class Key(NamedTuple):
    """One key of a table: what its value looks like, its default as TOML, what it means."""

    name: str
    kind: str
    default: str
    meaning: str


class Table(NamedTuple):
    """A table of the configuration file; ``name`` is "" for the top of the file."""

    name: str
    text: str
    keys: tuple[Key, ...]


# ---------------------------------------------------------------- commands


class Shipped(CommandLine):
    """A command line on which exactly these plugins are listed."""

    def __init__(self, plugins: Sequence[str]) -> None:
        super().__init__()
        self.plugins = list(plugins)

    def configured(self) -> dict[str, Any]:
        """As if a configuration file listed them."""
        return {"plugins": self.plugins}


def pages(root: click.Group, plugins: Sequence[str]) -> list[Page]:
    """Every command, in the order of the help; those of the plugins behind the own ones."""
    from sipx.cli import plugin_commands

    line = Shipped(plugins)
    context = click.Context(root, info_name="sipx", obj=line, **root.context_settings)
    owners = {listed.name: listed.plugin for listed in plugin_commands.listing(line)}
    found: list[Page] = []
    for name in root.list_commands(context):
        command = root.get_command(context, name)
        assert command is not None, name
        found += _below(command, name, context, owners.get(name, ""))
    return found


def _below(command: click.Command, name: str, above: click.Context, plugin: str) -> Iterator[Page]:
    context = click.Context(command, info_name=name, parent=above)
    yield Page(
        context.command_path,
        " ".join([context.command_path, *command.collect_usage_pieces(context)]),
        _text(command),
        tuple(_option(one, context) for one in command.params if _is_own(one)),
        plugin,
        isinstance(command, click.Group),
    )
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            below = command.get_command(context, inner)
            assert below is not None, inner
            yield from _below(below, inner, context, plugin)


def _text(command: click.Command) -> str:
    paragraphs = cleandoc(command.help or "").partition("\f")[0].rstrip().split("\n\n")
    return "\n\n".join(map(_verbatim, paragraphs))


def _verbatim(paragraph: str) -> str:
    """A paragraph that click does not fold is one of lines, as Markdown has them: indented."""
    if not paragraph.startswith("\b\n"):
        return paragraph
    lines = cleandoc(paragraph.removeprefix("\b\n")).split("\n")
    return "\n".join(VERBATIM + line for line in lines)


def _is_own(parameter: click.Parameter) -> bool:
    common = {option.name for option in _common()}
    return (
        isinstance(parameter, click.Option)
        and not parameter.hidden
        and parameter.name not in common
    )


def _common() -> list[click.Option]:
    def nothing() -> None:
        """Take the options."""

    made = click.command(command_options(nothing))
    return [one for one in made.params if isinstance(one, click.Option)]


def common_options() -> list[Option]:
    """The options that every command has."""
    context = click.Context(click.Command("sipx"))
    return [
        *(_option(one, context) for one in _common()),
        Option("-h, --help", "Show the help of the command and exit."),
    ]


def _option(option: click.Parameter, context: click.Context) -> Option:
    assert isinstance(option, click.Option)
    written = ", ".join(sorted(option.opts, key=len))
    if option.secondary_opts:
        written += f" / {', '.join(option.secondary_opts)}"
    if not option.is_flag and not option.count:
        written += f" {_metavar(option, context)}"
    words = " ".join((option.help or "").split())
    if option.show_default and option.default is not None:
        words += f" Default: {option.default}."
    return Option(written, words)


def _metavar(option: click.Option, context: click.Context) -> str:
    number = isinstance(option.type, (click.types.IntParamType, click.types.FloatParamType))
    return "NUMBER" if number and option.metavar is None else option.make_metavar(context)


# ---------------------------------------------------------------- the configuration file


def tables(plugins: Mapping[str, Any]) -> list[Table]:
    """Every table of the kernel, then those of the plugins (classes, by name)."""
    found = list(_tables(KernelConfig, ""))
    for name, cls in plugins.items():
        found += _tables(cls.Config, name)
    return found


def _tables(model: type[BaseModel], name: str) -> Iterator[Table]:
    schema = model.model_json_schema(schema_generator=Tolerant)
    own = {key: field for key, field in model.model_fields.items() if not _inner(field.annotation)}
    text = " ".join(cleandoc(model.__doc__ or "").split())
    yield Table(
        name,
        re.sub(r"^\[[^\]]+\]: (\w)", lambda found: found[1].upper(), text),
        tuple(_key(key, field, schema) for key, field in own.items()),
    )
    for key, field in model.model_fields.items():
        inner = _inner(field.annotation)
        if inner is not None:
            several = "dict[" in str(field.annotation)
            below = ".".join(filter(None, [name, key, "NAME" if several else ""]))
            yield from _tables(inner, below)


def _inner(annotation: object) -> type[BaseModel] | None:
    """The model in an annotation: then the key is a table and not a value."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_inner, get_args(annotation))), None)


def _key(name: str, field: FieldInfo, schema: dict[str, Any]) -> Key:
    return Key(
        name,
        _kind(schema["properties"][name], schema.get("$defs", {})),
        "required" if field.is_required() else _toml(field.default, field),
        " ".join((field.description or "").split()),
    )


_KINDS: Final = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "object": "table",
}


def _kind(schema: dict[str, Any], known: dict[str, Any]) -> str:
    """What a value looks like, in words."""
    if "$ref" in schema:
        return _kind(known[schema["$ref"].rpartition("/")[2]], known)
    if "enum" in schema:
        return " or ".join(_toml(value) for value in schema["enum"])
    if "const" in schema:
        return _toml(schema["const"])
    choices = schema.get("anyOf", ())
    for word, pattern in (("duration", r"ms\|s"), ("size", r"kB\|KB")):
        if any(re.search(pattern, choice.get("pattern", "")) for choice in choices):
            return word
    if choices:
        words = (_kind(choice, known) for choice in choices if choice.get("type") != "null")
        return " or ".join(dict.fromkeys(words))
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}), known)}"
    return _KINDS.get(schema.get("type", ""), "text")


def _toml(value: object, field: FieldInfo | None = None) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if field is not None and is_duration(field) and isinstance(value, float):
        return f'"{duration_text(value)}"'
    if isinstance(value, (tuple, list, frozenset)):
        return f"[{', '.join(_toml(item) for item in value)}]"
    if isinstance(value, dict):
        return "{}" if not value else "{ ... }"
    if isinstance(value, (int, float)):
        return f"{value:g}" if isinstance(value, float) else str(value)
    return f'"{value}"'

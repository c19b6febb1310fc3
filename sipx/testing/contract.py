"""What every plugin has to satisfy, as one call for the test suite of its author.

from sipx.testing.contract import check_plugin

def test_the_contract(tmp_path):
    check_plugin("blocklist", blocklist={"path": tmp_path / "list.txt"})
"""

from __future__ import annotations

import inspect
import json
import re
import tempfile
import tomllib
from collections.abc import Mapping
from importlib.metadata import Distribution, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args
from urllib.parse import unquote, urlsplit

import trio
import trio.testing
from pydantic import BaseModel

from sipx.config.errors import ConfigError
from sipx.control.kernel import described
from sipx.plugin import Config
from sipx.registry import GROUP, Registry, hooks_of
from sipx.status import status_of
from sipx.testing.proxy import settings_for, start_proxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo

Tables = Mapping[str, Mapping[str, Any]]
HOST: Final = "sipx-proxy"
"""The distribution that a plugin depends on."""
UNKNOWN: Final = "no_such_key"
_CODE: Final = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)
_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")
_OPERATOR: Final = re.compile(r"===|[=~!<>]=|[<>]")
_INHERITED: Final = frozenset(Config.model_fields)


def check_plugin(name: str, **tables: Mapping[str, Any]) -> None:
    """Check the installed plugin ``name``. Raises AssertionError with everything that is wrong.

    ``tables`` are the TOML tables that it needs to start, its own and the kernel's; without any
    it starts with its defaults. Must be called outside trio: time jumps while the plugin runs.
    """
    wrong = list(violations(name, tables))
    assert not wrong, f"plugin '{name}' breaks its contract:\n- " + "\n- ".join(wrong)


def violations(name: str, tables: Tables) -> Iterator[str]:
    """Everything that is wrong with a plugin, in sentences."""
    entries = [entry for entry in entry_points(group=GROUP) if entry.name == name]
    if not entries:
        yield f"no installed distribution names it in its entry points [{GROUP}]"
        return
    # The registry sees the class: a Config of sipx, hooks that are known and not async.
    classes, problems = Registry(entries).examine([name])
    yield from map(str, problems)
    if problems:
        return
    cls = classes[name]
    if not inspect.getdoc(cls):
        yield f"{cls.__name__} has no docstring; `sipx plugins` shows its first line"
    yield from _undocumented(cls.Config)
    distribution = entries[0].dist
    if distribution is not None:
        yield from _readme(cls.Config, distribution)
        yield from _version_range(distribution)
    in_memory = not any(implementation.hook == "transports" for implementation in hooks_of(cls))
    yield from _refusal(name, in_memory, tables)
    yield from _life(name, in_memory, tables)


# ---------------------------------------------------------------- what is written about it


def _tables_of(config: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """A Config and the tables below it."""
    yield config
    for field in config.model_fields.values():
        for model in _models_in(field.annotation):
            yield from _tables_of(model)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)


def _own_fields(config: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    """The keys of a table; ``enabled`` is everybody's."""
    for name, field in config.model_fields.items():
        if name not in _INHERITED:
            yield name, field


def _undocumented(config: type[BaseModel]) -> Iterator[str]:
    for table in _tables_of(config):
        if not table.__doc__:
            yield f"{table.__name__} has no docstring"
        for key, field in _own_fields(table):
            if not field.description:
                yield f"{table.__name__}.{key} has no docstring below it"


def _readme(config: type[BaseModel], distribution: Distribution) -> Iterator[str]:
    text = _readme_text(distribution)
    if not text.strip():
        yield f"the distribution {distribution.name} has no README"
        return
    code = "\n".join(_CODE.findall(text))
    for table in _tables_of(config):
        for key, _ in _own_fields(table):
            if not re.search(rf"(?<![\w-]){re.escape(key)}(?![\w-])", code):
                yield f"its README does not name the key `{key}` of {table.__name__}"


def _readme_text(distribution: Distribution) -> str:
    """The README: of the checkout for an editable installation, else of the metadata."""
    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    if origin.get("dir_info", {}).get("editable"):
        project = Path(unquote(urlsplit(origin["url"]).path))
        about = tomllib.loads((project / "pyproject.toml").read_text()).get("project", {})
        readme = about.get("readme")
        if isinstance(readme, str):
            return (project / readme).read_text()
    metadata = distribution.read_text("METADATA") or ""
    return metadata.partition("\n\n")[2]


def _version_range(distribution: Distribution) -> Iterator[str]:
    """Public names may change with the second number before 1.0: a plugin says what it knows."""
    needed = [text for text in distribution.requires or () if "extra ==" not in text]
    host = [text for text in needed if (found := _NAME.match(text)) and found[0].lower() == HOST]
    if not host:
        yield f"{distribution.name} does not depend on {HOST}"
        return
    operators = set(_OPERATOR.findall(host[0].partition(";")[0]))
    if operators & {"==", "==="}:
        yield f"{distribution.name} pins {host[0]}; give a range"
    elif not operators & {">=", ">", "~="} or not operators & {"<", "<=", "~="}:
        yield f"{distribution.name} needs a range such as {HOST}>=0.1,<0.2, not {host[0]}"


# ---------------------------------------------------------------- what it does


def _refusal(name: str, in_memory: bool, tables: Tables) -> Iterator[str]:
    """An unknown key in its table is told with file, line and column."""
    own = {**tables.get(name, {}), UNKNOWN: 1}
    said = "it starts"
    with tempfile.TemporaryDirectory() as directory:
        try:
            settings_for(
                Path(directory),
                domains=["home.example"],
                plugins=[name],
                in_memory=in_memory,
                tables={**tables, name: own},
            )
        except ConfigError as error:
            said = str(error)
    if not re.search(rf"sipx\.toml:\d+:\d+: {re.escape(name)}\.{UNKNOWN}: unknown key", said):
        yield f"an unknown key in [{name}] is not refused: {said}"


def _life(name: str, in_memory: bool, tables: Tables) -> Iterator[str]:
    """It starts, runs for a minute and stops; and it can be switched off.

    A transport is started once, for a moment, on real sockets: those know no virtual time, and
    without it the kernel rightly refuses the interface.
    """
    clock = trio.testing.MockClock(autojump_threshold=0) if in_memory else None
    for enabled in (True, False) if in_memory else (True,):
        own = {**tables.get(name, {}), "enabled": enabled}
        try:
            trio.run(_start_once, name, in_memory, {**tables, name: own}, clock=clock)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a group of whatever the plugin raised
            state = "" if enabled else " switched off"
            yield f"it does not start and stop{state}: {_innermost(error)}"


async def _start_once(name: str, in_memory: bool, tables: Tables) -> None:
    with tempfile.TemporaryDirectory() as directory:
        async with trio.open_nursery() as nursery:
            proxy = await start_proxy(
                nursery, Path(directory), plugins=[name], in_memory=in_memory, tables=tables
            )
            await trio.sleep(60 if in_memory else 0.2)
            described(proxy.kernel.hooks.control_methods).methods()
            status_of(proxy.kernel)
            await proxy.stop()


def _innermost(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    cause = f" ({error.__cause__!r})" if error.__cause__ is not None else ""
    return f"{type(error).__name__}: {error}{cause}"

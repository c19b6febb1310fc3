"""What every command has: its configuration file, its two outputs, and the options for them."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO, TypeVar

import click

from sipx.cli import config_file
from sipx.cli.exits import ExitCode, Failed, failure_of, is_closed_pipe, unwritable
from sipx.escaping import escaped, json_safe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sipx.cli.plugin_commands import Listed
    from sipx.config.document import Document
    from sipx.config.load import Settings
    from sipx.control.client import Client
    from sipx.dry_run import DryRun
    from sipx.registry import Registry

F = TypeVar("F", bound="Callable[..., Any]")
_SOCKET_LINE: Final = re.compile(r"""^\s*control_socket\s*=\s*(["'])(.+?)\1""", re.MULTILINE)


class CommandLine:
    """What a command holds; commands get it with ``@click.pass_obj``.

    Results go to stdout (``result``), everything else to stderr (``say``).
    """

    def __init__(self) -> None:
        self.config: Path | None = None
        """The file of ``--config``."""
        self.socket: Path | None = None
        """The control socket of ``--socket``."""
        self.json = False
        """Whether one JSON document is wanted instead of text."""
        self.color = "auto"
        """``auto``, ``always`` or ``never``."""
        self.plugin_commands: list[Listed] | None = None
        """The commands of plugins, once they were looked for."""
        self._registry: Registry | None = None
        self._told: Path | None = None
        """The configuration file that has been said."""

    # ------------------------------------------------------------ configuration

    @property
    def registry(self) -> Registry:
        """The installed plugins."""
        if self._registry is None:
            from sipx.registry import Registry

            self._registry = Registry()
        return self._registry

    def config_path(self, *, aloud: bool = False) -> Path:
        """The configuration file, said once on stderr if nobody named it. Exit code 3 without."""
        found = config_file.find(self.config)
        if found is None:
            raise Failed(config_file.not_found(), ExitCode.CONFIGURATION)
        if (aloud or found.by != "--config") and self._told != found.path:
            self._told = found.path
            self.say(f"using {found.path.absolute()}")
        return found.path

    def settings(self, *, aloud: bool = False) -> Settings:
        """The valid configuration; every problem in it on stderr and exit code 3 otherwise."""
        from sipx.config import ConfigError, load

        path = self.config_path(aloud=aloud)
        try:
            return load(path, self.registry)
        except ConfigError as error:
            raise failure_of(error) from error

    def configured(self) -> dict[str, Any]:
        """The values of the configuration file as they are written, {} where it cannot be read.

        For help, completion and lists: a broken file must not break those.
        """
        import tomllib

        found = config_file.find(self.config)
        if found is None:
            return {}
        try:
            return tomllib.loads(found.path.read_text(encoding="utf-8-sig"))
        except OSError as error:
            self.say(f"{found.path} cannot be read: {error.strerror}")
        except ValueError as error:
            self.say(f"{found.path} is not read: {error}")
        return {}

    @contextmanager
    def dry_run(self) -> Iterator[DryRun]:
        """The proxy of the configuration file, made but not started. Exit codes 3 and 6."""
        from sipx.dry_run import DryRun

        settings = self.settings()
        with _unlogged(), DryRun.of(settings, self.registry) as dry:
            yield dry

    # ------------------------------------------------------------ the running service

    def control_path(self) -> Path:
        """The control socket: ``--socket``, else $SIPX_SOCKET, else that of the service of the
        configuration file, else the usual one.
        """
        from sipx.control.place import VARIABLE, client_path

        if self.socket is not None:
            return self.socket.absolute()
        found = None if os.environ.get(VARIABLE) else config_file.find(self.config)
        if found is None:
            return client_path(None)
        table = _service_table(found.path)
        base = found.path.absolute().parent
        named = (table.get("control_socket"), table.get("state_dir"))
        return client_path(*(base / name if isinstance(name, str) else None for name in named))

    @contextmanager
    def control(self) -> Iterator[Client]:
        """A connection to the running service. Exit codes 4 and 5 without one; what the service
        answers in place of a result ends the command with 1, or 3 for a configuration file.
        """
        from sipx.control.client import Client, Forbidden, Unreachable
        from sipx.control.errors import ControlError
        from sipx.errors import StartError

        try:
            with Client(self.control_path()) as client:
                yield client
        except Forbidden as error:
            raise Failed(str(error), ExitCode.NOT_PERMITTED) from error
        except (Unreachable, StartError) as error:
            raise Failed(str(error), ExitCode.UNREACHABLE) from error
        except ControlError as error:
            invalid = error.kind == "configuration"
            code = ExitCode.CONFIGURATION if invalid else ExitCode.BAD_ANSWER
            raise Failed(escaped(error.text, lines=True), code) from error

    @contextmanager
    def needs(self, plugin: str, text: str = "") -> Iterator[None]:
        """Inside of ``control``: where the running service does not have a method, it is said that
        it runs without this plugin; or ``text``.
        """
        from sipx.control.errors import ControlError

        try:
            yield
        except ControlError as error:
            if error.kind != "method":
                raise
            text = text or (
                f"the running sipx does not have the plugin {plugin}; `sipx plugins enable "
                f"{plugin}` adds it"
            )
            raise self.failed(text) from error

    def reachable_control(self) -> Client | None:
        """A connection to the running service, to be closed; None where none runs, or where this
        account may not talk to it, which is said.
        """
        from sipx.control.client import Client, Forbidden, Unreachable
        from sipx.errors import StartError

        try:
            return Client(self.control_path())
        except Forbidden as error:
            self.say(str(error))
        except (Unreachable, StartError):
            pass
        return None

    # ------------------------------------------------------------ changing the configuration

    def edit(
        self,
        change: Callable[[Document], str],
        *,
        dry_run: bool = False,
        apply: bool = True,
    ) -> None:
        """Change the configuration file: ``change`` edits the document and says what it did.

        What it says is shown and kept in the history: no secret may be in it. The options
        ``dry_run`` and ``apply`` come from ``edit_options``.
        """
        from sipx.cli.editing import edit

        edit(self, change, dry_run=dry_run, apply=apply)

    def confirm(self, question: str) -> None:
        """Ask on a terminal; "no" ends the command. Where nobody sits the answer is "yes"."""
        if stdin_is_terminal() and not click.confirm(question, err=True):
            raise Failed("nothing is changed", ExitCode.BAD_ANSWER)

    # ------------------------------------------------------------ output

    @staticmethod
    def folded(lines: Iterable[str]) -> Iterator[str]:
        """Lines of a label and text, folded to the width of a terminal; whole for programs."""
        from sipx.cli.cert_text import wrapped
        from sipx.cli.tables import terminal_width

        width = terminal_width()
        for line in lines:
            label, colon, text = line.partition(": ")
            if width is None or len(click.unstyle(line)) <= width or not colon:
                yield line
            else:
                indent = len(text) - len(text.lstrip())
                yield from wrapped(f"{label}: {' ' * indent}", text.lstrip(), width)

    def result(self, data: object, text: str | Iterable[str]) -> None:
        """The answer of a command: ``data`` as JSON with ``--json``, else ``text``."""
        if self.json:
            text = json_text(data, indent=2)
        elif not isinstance(text, str):
            text = "\n".join(text)
        try:
            click.echo(text)
        except OSError as error:
            if is_closed_pipe(error):
                raise
            raise unwritable(error) from error

    def say(self, text: str) -> None:
        """Something beside the answer, on stderr."""
        click.echo(f"sipx: {text}", err=True)

    def wants_color(self, stream: TextIO) -> bool:
        """Whether a stream gets colours: only a terminal does, unless somebody says otherwise."""
        wanted = wanted_color(self.color)
        return stream.isatty() if wanted is None else wanted

    @staticmethod
    def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
        """Lines of a table; a column is as wide as its widest entry, but on a terminal the widest
        are cut until the table fits.
        """
        from sipx.cli.tables import table, terminal_width

        return table(heads, rows, terminal_width())

    def failed(self, text: str, code: int = ExitCode.BAD_ANSWER) -> Failed:
        """An exception to be raised: the command ends with a sentence and an exit code."""
        return Failed(text, ExitCode(code))


@contextmanager
def _unlogged() -> Iterator[None]:
    """Who asks is told in the answer: nothing of it goes into a log, nor onto the screen."""
    nowhere = logging.NullHandler()
    log = logging.getLogger("sipx")
    log.addHandler(nowhere)
    try:
        yield
    finally:
        log.removeHandler(nowhere)


def _service_table(path: Path) -> dict[str, Any]:
    """The table [service] as it is written. Of a file that is no TOML, which a running service may
    be asked to reload, what looks like the socket's place.
    """
    import tomllib

    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError):
        return {}
    try:
        table = tomllib.loads(text).get("service")
    except ValueError:
        found = _SOCKET_LINE.search(text)
        table = {"control_socket": found[2]} if found is not None else None
    return table if isinstance(table, dict) else {}


def json_text(data: object, *, indent: int | None = None) -> str:
    """JSON that cannot do anything to a terminal."""
    return json_safe(json.dumps(data, indent=indent, ensure_ascii=False, default=_plain))


def wanted_color(option: str) -> bool | None:
    """What ``--color``, NO_COLOR, FORCE_COLOR and TERM say, in this order; None: ask the stream."""
    if option != "auto":
        return option == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    return False if os.environ.get("TERM") == "dumb" else None


def _plain(value: object) -> object:
    """What JSON has no form for: bytes of SIP as text, sets as lists, the rest as it is shown."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return str(value)


# ---------------------------------------------------------------- options of every command


def _set_config(ctx: click.Context, param: click.Parameter, value: Path | None) -> None:
    line = ctx.ensure_object(CommandLine)
    if value is not None:
        line.config = value


def _set_json(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    line = ctx.ensure_object(CommandLine)
    line.json = line.json or value


def _set_color(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    line = ctx.ensure_object(CommandLine)
    if value is not None:
        line.color = value
    # Failures are told by the root, which knows no option of a subcommand.
    ctx.color = ctx.find_root().color = wanted_color(line.color)


def command_options(function: F) -> F:
    """Give a command ``--config``, ``--json`` and ``--color``; they act on its CommandLine."""
    for option in (
        click.option(
            "--color",
            type=click.Choice(["auto", "always", "never"]),
            callback=_set_color,
            expose_value=False,
            help="Colours: on a terminal, always, or never.",
        ),
        click.option(
            "--json",
            is_flag=True,
            callback=_set_json,
            expose_value=False,
            help="One JSON document on stdout.",
        ),
        click.option(
            "--config",
            type=click.Path(path_type=Path, dir_okay=False),
            is_eager=True,
            callback=_set_config,
            expose_value=False,
            help="The configuration file.",
        ),
    ):
        function = option(function)
    return function


def stdin_is_terminal() -> bool:
    """Whether somebody sits there who can be asked."""
    return sys.stdin.isatty()


def stderr_is_terminal() -> bool:
    """Whether somebody reads stderr as it appears."""
    return sys.stderr.isatty()

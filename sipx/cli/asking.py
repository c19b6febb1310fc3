"""For commands that ask the running sipx where there is one, and the configuration file else."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click
import trio

from sipx.cli import config_file
from sipx.cli.exits import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pydantic import BaseModel

    from sipx.cli.command_line import CommandLine
    from sipx.cli.exits import Failed
    from sipx.control.client import Client
    from sipx.dry_run import DryRun

    M = TypeVar("M", bound=BaseModel)

offline_option = click.option(
    "--offline", is_flag=True, help="Ask the configuration file, also where sipx runs."
)


class Asked:
    """Who is asked: a running sipx, or a proxy that was made from the file and does not run."""

    def __init__(
        self,
        line: CommandLine,
        client: Client | None,
        methods: Mapping[str, Callable[..., object]],
        dry: DryRun | None,
    ) -> None:
        self._line = line
        self._client = client
        self._methods = methods
        self.dry = dry
        """The one that does not run; None where a running one is asked."""

    @property
    def live(self) -> bool:
        """Whether a running sipx answers."""
        return self._client is not None

    def __call__(
        self, name: str, params: BaseModel | None, result: type[M], *, timeout: float | None = None
    ) -> M:
        """What a method of the control API says. Exit codes 1, 2 and 4."""
        from sipx.control.client import Unreachable
        from sipx.control.errors import ControlError
        from sipx.control.methods import Caller, Method

        try:
            if self._client is not None:
                return self._client.call(name, params, result, timeout=timeout)
            method = Method.of(name, self._methods[name])
            answer = trio.run(method.call, params, Caller("the command line"))
        except ControlError as error:
            raise self._refused(error.kind, error.text) from error
        except Unreachable as error:
            raise self._line.failed(str(error), ExitCode.UNREACHABLE) from error
        assert isinstance(answer, result)
        return answer

    def _refused(self, kind: str, text: str) -> Failed:
        code = ExitCode.WRONG_USE if kind == "params" else ExitCode.BAD_ANSWER
        return self._line.failed(f"the running sipx: {text}" if self.live else text, code)


@contextmanager
def asked(
    line: CommandLine,
    methods: Callable[[DryRun], Mapping[str, Callable[..., object]]],
    *,
    offline: bool = False,
) -> Iterator[Asked]:
    """Ask the sipx that runs with this configuration file, or else what ``methods`` says of the
    file alone. Exit codes 3 and 6 for a file that cannot be used.
    """
    client = None if offline else running(line)
    if client is not None:
        with client:
            yield Asked(line, client, {}, None)
        return
    with line.dry_run() as dry:
        yield Asked(line, None, methods(dry), dry)


def running(line: CommandLine) -> Client | None:
    """A connection to the sipx that runs with this configuration file, None where there is none."""
    from sipx.control.errors import ControlError
    from sipx.status import ProxyStatus

    client = line.reachable_control()
    if client is None:
        return None
    try:
        used = Path(client.call("status", None, ProxyStatus).service.config)
    except ControlError as error:
        raise line.failed(f"the running sipx: {error.text}") from error
    found = config_file.find(line.config)
    if found is None or used.resolve() == found.path.resolve():
        return client
    client.close()
    line.say(f"the sipx that runs uses {used}; {found.path} is asked")
    return None


def who_is_asked(live: bool) -> str:
    """The line that tells it."""
    return f"asked:  {'the running sipx' if live else 'the configuration file; no sipx is asked'}"

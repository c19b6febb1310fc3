"""``sipx service install`` and ``uninstall``: a systemd unit for the proxy, and its account."""

from __future__ import annotations

import difflib
import math
import os
import pwd
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from sipx.cli import systemctl
from sipx.cli.command_line import CommandLine, command_options
from sipx.cli.exits import ExitCode, Failed
from sipx.cli.systemctl import Systemctl
from sipx.cli.unit import MARK, SET_UP, Service, unit_text, weaknesses

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sipx.config.load import Settings
    from sipx.interfaces import Interface

ACCOUNT: Final = "sipx"
SYSUSERS: Final = Path("/etc/sysusers.d/sipx.conf")
_FILES: Final = 65536
"""Open files that are always allowed; more connections need more."""

USER = click.option("--user", is_flag=True, help="A unit of this user's own service manager.")
YES = click.option("--yes", is_flag=True, help="Do not ask.")


@click.command()
@USER
@click.option("--print", "only_print", is_flag=True, help="Show the unit, and write nothing.")
@click.option("--force", is_flag=True, help="Replace a unit that is there and is different.")
@YES
@click.option("--enable", is_flag=True, help="Start it then, and at every start of the machine.")
@click.option(
    "--writable",
    multiple=True,
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIRECTORY",
    help="Let the proxy write there too, such as a directory of log files. Several times.",
)
@command_options
@click.pass_obj
def install(
    line: CommandLine,
    user: bool,
    only_print: bool,
    force: bool,
    yes: bool,
    enable: bool,
    writable: tuple[Path, ...],
) -> None:
    """Write a hardened systemd unit for the proxy of the configuration file.

    The unit runs `sipx run` with this file under the account sipx, which is made if need be, and
    may do little else than SIP. Its exposure, as `systemd-analyze security` rates it, is shown.
    On a terminal the unit is shown first, and asked for. To be repeated with --force when
    interfaces get ports below 1024, or directories change.
    """
    manager = Systemctl(user=user)
    made = _service(line, user=user, writable=writable)
    text = unit_text(made)
    for weakness in weaknesses(made):
        line.say(weakness)
    for path in made.writable:
        if not path.is_dir():
            line.say(
                f"the unit cannot start without {path}: make it, and let {ACCOUNT} write there"
            )
    if only_print:
        line.result({"path": str(manager.unit_path), "unit": text}, text.rstrip("\n"))
        return
    _check_machine(manager)
    old = _there(manager.unit_path)
    if old != text:
        _ask(line, manager, old, text, force=force, yes=yes)
        if not user:
            _make_account(line)
        _write(manager.unit_path, text)
        manager.reload()
    for complaint in systemctl.complaints(manager.unit_path, user=user):
        line.say(complaint)
    if enable:
        manager.tell("enable", "--now", systemctl.UNIT)
    _tell(line, manager, made, changed=old != text, enabled=enable)


@click.command()
@USER
@click.option("--force", is_flag=True, help="Also a unit that sipx has not written.")
@YES
@command_options
@click.pass_obj
def uninstall(line: CommandLine, user: bool, force: bool, yes: bool) -> None:
    """Stop the proxy's unit and remove it; configuration, state, logs and account stay."""
    manager = Systemctl(user=user)
    path = manager.unit_path
    old = _there(path)
    if old is None:
        raise Failed(f"there is no {path}", ExitCode.BAD_ANSWER)
    if not old.startswith(MARK) and not force:
        raise Failed(f"{path} was not written by sipx; --force removes it", ExitCode.BAD_ANSWER)
    _confirm(f"stop {systemctl.UNIT} and remove {path}?", yes=yes)
    if manager.unit() is not None:
        manager.tell("disable", "--now", systemctl.UNIT)
    try:
        path.unlink()
    except OSError as error:
        raise _refused(path, error) from error
    manager.reload()
    line.result(
        {"removed": str(path)},
        f"{path} is removed; the configuration, /var/lib/sipx and the account stay",
    )


# ---------------------------------------------------------------- what the unit is for


def _service(line: CommandLine, *, user: bool, writable: tuple[Path, ...]) -> Service:
    from sipx.dry_run import DryRun

    settings = line.settings()
    config = settings.path.resolve()
    with DryRun.of(settings, line.registry) as dry:
        low = any(_is_low(interface) for interface in dry.interfaces)
    command = (*_program(), "run", "--config", str(config))
    limit = 2 * settings.kernel.limits.max_connections + 1024
    return Service(
        command=command,
        systemd=systemctl.version() or systemctl.ANY_VERSION,
        user=user,
        account=ACCOUNT,
        group=settings.kernel.service.control_group,
        stop_timeout=settings.kernel.service.stop_timeout,
        low_port=low,
        files=max(_FILES, 1024 * math.ceil(limit / 1024)),
        writable=tuple(_writable(settings, config, writable)),
        read=(Path(command[0]), config),
    )


def _is_low(interface: Interface) -> bool:
    return 0 < interface.port < 1024


def _program() -> tuple[str, ...]:
    """This sipx, as it is called without a shell: beside its Python, so that both fit."""
    beside = Path(sys.executable).with_name("sipx")
    return (str(beside),) if beside.exists() else (sys.executable, "-m", "sipx")


def _writable(settings: Settings, config: Path, more: Iterable[Path]) -> Iterator[Path]:
    """Where the proxy writes, beyond what systemd makes for it; not what lies below another."""
    service = settings.kernel.service
    wanted = [config.parent, *(path.absolute() for path in more)]
    if service.state_dir is not None:
        wanted.append(service.state_dir.absolute())
    if service.control_socket is not None:
        wanted.append(service.control_socket.absolute().parent)
    kept: list[Path] = list(SET_UP)
    for path in sorted(wanted):
        if not any(path.is_relative_to(above) for above in kept):
            kept.append(path)
            yield path


# ---------------------------------------------------------------- writing it


def _check_machine(manager: Systemctl) -> None:
    if systemctl.version() is None:
        raise Failed(
            "this machine has no systemd: `sipx service install --print` shows the unit; any other "
            "service manager has to run `sipx run` in the foreground and end it with TERM",
            ExitCode.BAD_ANSWER,
        )
    if not manager.user and os.geteuid() != 0:
        raise Failed(
            f"only root may write {manager.unit_path}: use sudo, or --user for a service of your "
            "own account",
            ExitCode.NOT_PERMITTED,
        )


def _there(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _refused(path, error) from error


def _ask(
    line: CommandLine, manager: Systemctl, old: str | None, text: str, *, force: bool, yes: bool
) -> None:
    path = manager.unit_path
    if old is None:
        shown = text
    else:
        shown = "".join(
            difflib.unified_diff(
                old.splitlines(keepends=True), text.splitlines(keepends=True), str(path), "new"
            )
        )
        if not force:
            click.echo(shown, err=True)
            raise Failed(f"{path} is there and is different; --force replaces it", ExitCode(1))
    if not yes:
        click.echo(shown, err=True)
    account = "" if manager.user or _account_exists() else f", and make the account {ACCOUNT}"
    _confirm(f"write {path}{account}?", yes=yes)


def _confirm(question: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise Failed(f"{question} Nobody can be asked here: --yes says so", ExitCode.WRONG_USE)
    if not click.confirm(question, err=True):
        raise click.Abort


def _account_exists() -> bool:
    try:
        pwd.getpwnam(ACCOUNT)
    except KeyError:
        return False
    return True


def _make_account(line: CommandLine) -> None:
    """The system account, as systemd-sysusers(8) makes it; or how to make it."""
    if _account_exists():
        return
    _write(SYSUSERS, f'u {ACCOUNT} - "sipx SIP proxy" /var/lib/sipx /usr/sbin/nologin\n')
    if not systemctl.make_accounts(SYSUSERS):
        line.say(
            f"the account {ACCOUNT} is still to be made: useradd --system --user-group "
            f"--home-dir /var/lib/sipx --shell /usr/sbin/nologin {ACCOUNT}"
        )


def _write(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            beside.write_text(text, encoding="utf-8")
            beside.chmod(0o644)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise _refused(path, error) from error


def _refused(path: Path, error: OSError) -> Failed:
    denied = isinstance(error, PermissionError)
    code = ExitCode.NOT_PERMITTED if denied else ExitCode.BAD_ANSWER
    return Failed(f"{path}: {error.strerror or error}", code)


def _tell(
    line: CommandLine, manager: Systemctl, made: Service, *, changed: bool, enabled: bool
) -> None:
    path = manager.unit_path
    rating = systemctl.exposure(path)
    config = made.command[-1]
    steps = []
    if not manager.user:
        steps.append(f"sudo -u {made.account} {made.command[0]} check --config {config}")
    if not enabled:
        steps.append(f"systemctl {'--user ' if manager.user else ''}enable --now sipx")
    line.result(
        {
            "path": str(path),
            "changed": changed,
            "exposure": rating,
            "account": None if manager.user else made.account,
            "enabled": enabled,
            "next": steps,
        },
        [
            f"{path} is written" if changed else f"{path} is as it should be",
            f"exposure: {rating or 'not rated, systemd-analyze is missing'}",
            *(["Next:", *(f"  {step}" for step in steps)] if steps else []),
        ],
    )

"""``sipx cert import``: what others have exported, as the two PEM files of a certificate table."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from sipx.cli.cert_files import FORCE, OUT, checked_stem, directory, on_disk, refused, store, table
from sipx.cli.command_line import CommandLine, command_options
from sipx.cli.exits import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from typing import TypeVar

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

    from sipx.certificates import OwnCertificate

    T = TypeVar("T")

_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
_FILE: Final = click.Path(path_type=Path, exists=True, dir_okay=False, readable=False)


@click.command("import")
@click.argument("file", type=_FILE)
@click.option("--name", help="What the files are called, not ca; without it the name of FILE.")
@click.option("--key", "key_file", type=_FILE, help="The key, where it is not in FILE.")
@click.option(
    "--password-file",
    type=_FILE,
    help="Holds the password of FILE or of the key; without it you are asked.",
)
@OUT
@FORCE
@command_options
@click.pass_obj
def import_(
    line: CommandLine,
    file: Path,
    name: str | None,
    key_file: Path | None,
    password_file: Path | None,
    out_dir: Path | None,
    force: bool,
) -> None:
    """Take over a PKCS #12 file (Windows) or PEM files.

    PEM may have certificate and key in one file, or the key in another (--key). A certificate in
    DER or PKCS #7 (.cer, .p7b) needs --key.
    """
    from datetime import UTC, datetime

    from sipx.certificates.authority import Leaf
    from sipx.certificates.own import owned

    remedy = "choose one with --name" if name is None else "choose another"
    stem = checked_stem(line, file.stem if name is None else name, remedy)
    certificates, key = _read(line, file, key_file, _Password(line, password_file))
    try:
        own = owned(stem, certificates, key, key_file or file)
    except OSError as error:
        raise refused(line, error) from None
    leaf = Leaf(own.certificate, own.key, own.chain)  # type: ignore[arg-type]  # any key has a PEM
    files = store(line, directory(line, out_dir), stem, leaf, force=force)
    _warn(line, own, certificates, files[0], datetime.now(UTC))
    facts = own.facts
    line.result(
        {
            "cert_file": str(files[0]),
            "key_file": str(files[1]),
            "names": sorted(one.decode() for one in facts.ids),
            "chain": len(own.chain),
            "valid_until": facts.not_after.isoformat(),
        },
        [
            f"subject  {facts.subject}",
            f"issuer   {facts.issuer}",
            f"valid    {facts.not_before:%Y-%m-%d} to {facts.not_after:%Y-%m-%d}",
            "",
            *table(stem, *files),
        ],
    )


def _warn(
    line: CommandLine,
    own: OwnCertificate,
    certificates: list[x509.Certificate],
    file: Path,
    now: datetime,
) -> None:
    """What partners would stumble over, on stderr; it is imported all the same."""
    from sipx.certificates import is_issued_by

    facts = own.facts
    if facts.not_after < now:
        line.say(f"it expired on {facts.not_after:%Y-%m-%d}: partners refuse it; get a new one")
    itself = own.certificate.issuer == own.certificate.subject
    if not itself and not any(is_issued_by(own.certificate, one) for one in certificates):
        line.say(
            f"its issuer {facts.issuer} is not inside: if that is an intermediate authority, "
            f"append its certificate to {file}"
        )


# ---------------------------------------------------------------- reading


class _Password:
    """The password, from its file or from whoever sits at the terminal; asked for once."""

    def __init__(self, line: CommandLine, file: Path | None) -> None:
        self._line = line
        self._file = file

    def opens(self, file: Path, read: Callable[[str | None], T]) -> T:
        """What ``read`` makes of the password, asked without one first."""
        from sipx.certificates.own import LockedError

        try:
            return read(None)
        except LockedError:
            password = self._get(file)
        try:
            return read(password)
        except LockedError:
            if not password:
                wrong = "it is locked, and no password was given; give it with --password-file"
            elif self._file is None:
                wrong = "its password is wrong; try again, or give it with --password-file"
            else:
                wrong = f"its password is wrong; correct that in {self._file} (--password-file)"
            raise self._line.failed(f"{file}: {wrong}, or export it again") from None

    def _get(self, file: Path) -> str:
        if self._file is not None:
            return self._read(self._file)
        if not sys.stdin.isatty():
            raise self._line.failed(
                f"{file} is locked, and there is no terminal to ask on: use --password-file",
                ExitCode.WRONG_USE,
            )
        return _asked(f"password of {file}")

    def _read(self, path: Path) -> str:
        """UTF-8, or what Windows calls Unicode; one line end does not belong to it."""
        with on_disk(self._line, f"{path} cannot be read"):
            data = path.read_bytes()
        encoding = "utf-16" if data.startswith(_UTF16) else "utf-8-sig"
        try:
            return data.decode(encoding).removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            raise self._line.failed(
                f"{path} is neither UTF-8 nor UTF-16 text: store the password in it as UTF-8"
            ) from None


def _asked(question: str) -> str:
    return str(click.prompt(question, hide_input=True, default="", show_default=False, err=True))


def _read(
    line: CommandLine, file: Path, key_file: Path | None, password: _Password
) -> tuple[list[x509.Certificate], PrivateKeyTypes]:
    """The certificates, that of the key first, and the key. Exit codes 1, 2 and 5."""
    from sipx.certificates import CertificateError
    from sipx.certificates.importing import exported
    from sipx.certificates.own import read_file

    try:
        key = None if key_file is None else (key_file, read_file(key_file))
        return exported(
            file,
            read_file(file),
            password.opens,
            key,
            apart="give the key with --key FILE",
            inside="leave --key out",
        )
    except CertificateError as error:
        raise refused(line, error) from None

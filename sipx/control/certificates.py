"""Certificates over the control API: shown, taken over, asked for, made: ``certificates.*``.

Files go into ``tls`` beside the configuration file, called by the name of the certificate, and to
no other place. A table that is not there yet is added to the file, through the same change as any
other; where that fails the files are as they were. No key leaves.
"""

from __future__ import annotations

import base64
import binascii
import re
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import trio

from sipx.certificates import CertificateError, is_issued_by
from sipx.certificates.authority import (
    Key,
    Leaf,
    names_of,
    new_key,
    pem_of,
    proper_domain,
    request,
    self_signed,
)
from sipx.certificates.findings import findings_of
from sipx.certificates.importing import as_text, exported
from sipx.certificates.own import (
    LockedError,
    OwnCertificate,
    certificates_in,
    owned,
    read_file,
    read_key,
)
from sipx.control.certificate_words import (
    CertificateDetails,
    CertificateInChain,
    CertificateName,
    ImportParams,
    MadeCertificate,
    MakeParams,
    SelfSignedParams,
    ShownCertificate,
    chain_of,
)
from sipx.control.configuration import Changed, ChangeParams, Configuration, Edit
from sipx.control.dns_check import shown_finding
from sipx.control.errors import ControlError, ErrorProblem
from sipx.control.methods import Caller, changing
from sipx.pem_files import FOLDER, Written, replace_all, stem_problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

    from sipx.kernel import Kernel

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


class CertificateMethods:
    """The methods. ``kernel`` is the one whose certificates they are."""

    def __init__(self, kernel: Kernel, configuration: Configuration) -> None:
        self._kernel = kernel
        self._configuration = configuration

    def methods(self) -> dict[str, Callable[..., object]]:
        """By name, for the Api."""
        return {
            "certificates.show": self.show,
            "certificates.import": self.import_,
            "certificates.request": self.request,
            "certificates.self_signed": self.self_signed,
            "certificates.renew": self.renew,
        }

    # ------------------------------------------------------------ shown

    async def show(self, params: CertificateName) -> ShownCertificate:
        """One certificate in full: chain, names, fingerprints, who uses it, what is wrong."""
        self._known(params.name)
        return await trio.to_thread.run_sync(self._show, params.name)

    def _show(self, name: str) -> ShownCertificate:
        store = self._kernel.certificates
        state = next(each for each in store.states() if each.name == name)
        own = state.own
        return ShownCertificate(
            name=name,
            certificate=None if own is None else self._details(own),
            error="" if state.error is None else str(state.error),
            files=tuple(map(str, state.files)),
            used_by=state.used_by,
            findings=tuple(shown_finding(f) for f in findings_of(store, state, self._now())),
            renewal="self-signed" if own is not None and _is_self_signed(own) else "request",
        )

    # ------------------------------------------------------------ taken over

    @changing
    async def import_(self, params: ImportParams, caller: Caller) -> MadeCertificate:
        """Take over a certificate with its key from a file that others have made."""
        stem = self._stem(params.name)
        own, notes = await trio.to_thread.run_sync(self._imported, stem, params)
        made = MadeCertificate(
            name=stem, certificate=self._details(own), files=self._paths(stem), notes=notes
        )
        if params.dry_run:
            return made
        leaf = Leaf(own.certificate, own.key, own.chain)  # type: ignore[arg-type]  # any key has a PEM
        changed = await self._store(stem, leaf, caller, "imported", replace=params.replace)
        return made.model_copy(update={"changed": changed})

    def _imported(self, stem: str, params: ImportParams) -> tuple[OwnCertificate, tuple[str, ...]]:
        what = Path("what was given")

        def opens(file: Path, read: Callable[[str | None], Any]) -> Any:
            try:
                return read(None)
            except LockedError:
                if not params.password:
                    raise _wrong("password", f"{file} is locked; give its password") from None
            try:
                return read(params.password)
            except LockedError:
                raise _wrong("password", f"the password of {file} is wrong") from None

        data = _decoded("data_base64", params.data_base64)
        given = _decoded("key_base64", params.key_base64) if params.key_base64 else b""
        try:
            key = self._key_for(stem, data, given)
            certificates, found = exported(what, data, opens, key)
            own = owned(stem, certificates, found, key[0] if key else what)
        except CertificateError as error:
            raise _wrong("data_base64", str(error)) from error
        return own, tuple(self._stumbling(own, certificates))

    def _key_for(self, stem: str, data: bytes, given: bytes) -> tuple[Path, bytes] | None:
        """The key, where it is not inside: as it was given, or of ``certificates.request``."""
        if given:
            return Path("the key"), given
        text = as_text(data)
        path = self._key_file(stem)
        if path is None or b"PRIVATE KEY-----" in text or not certificates_in(text):
            return None
        return path, read_file(path)

    def _stumbling(self, own: OwnCertificate, certificates: list[x509.Certificate]) -> list[str]:
        notes = []
        if own.facts.not_after < self._now():
            notes.append(f"it expired on {own.facts.not_after:%Y-%m-%d}: partners refuse it")
        issuers = [one for one in certificates if is_issued_by(own.certificate, one)]
        if not issuers and own.certificate.issuer != own.certificate.subject:
            notes.append(
                f"its issuer {own.facts.issuer} is not inside: if that is an intermediate "
                "authority, its certificate has to be in the file as well"
            )
        return notes

    # ------------------------------------------------------------ made

    @changing
    async def request(self, params: MakeParams) -> MadeCertificate:
        """Make a key, and a request for an authority to sign; its answer is imported."""
        stem, names = self._stem(params.name), _domains(params.domains)
        return await trio.to_thread.run_sync(self._request, stem, names, params.key_type)

    def _request(self, stem: str, names: list[str], key_type: str) -> MadeCertificate:
        """The key that is there is the one whose pins partners have: it is used again."""
        path = self._key_file(stem)
        key = _usable(path) if path is not None else new_key(key_type)
        csr = request(names, key)
        folder = self._folder()
        files = [Written(folder / f"{stem}.csr", csr)]
        if path is None:
            files.append(Written(folder / f"{stem}.key", pem_of(key), secret=True))
        _write(folder, *files)
        return MadeCertificate(
            name=stem,
            certificate=None,
            request=csr.decode(),
            files=tuple(str(one.path) for one in files),
        )

    @changing
    async def self_signed(self, params: SelfSignedParams, caller: Caller) -> MadeCertificate:
        """Make a certificate without an authority, which partners pin by its key."""
        stem, names = self._stem(params.name), _domains(params.domains)
        key = await trio.to_thread.run_sync(new_key, params.key_type)
        return await self._self_signed(
            stem, names, key, params.days, caller, replace=params.replace
        )

    async def _self_signed(
        self,
        stem: str,
        names: list[str],
        key: Key,
        days: int,
        caller: Caller,
        *,
        replace: bool,
    ) -> MadeCertificate:
        leaf = await trio.to_thread.run_sync(self_signed, names, key, self._now(), days)
        own = owned(stem, [leaf.certificate], key, Path(f"{stem}.key"))
        changed = await self._store(stem, leaf, caller, "made", replace=replace)
        return MadeCertificate(
            name=stem, certificate=self._details(own), files=self._paths(stem), changed=changed
        )

    @changing
    async def renew(self, params: CertificateName, caller: Caller) -> MadeCertificate:
        """Make a self-signed certificate anew, with its key; for another one a request for the
        same names, with its key, for whoever has issued it.
        """
        self._known(params.name)
        stem = self._stem(params.name)
        try:
            own = self._kernel.certificates.own(stem)
        except CertificateError as error:
            raise ControlError("failed", str(error)) from error
        names = list(dict.fromkeys(names_of(own.certificate)))
        if not names:
            raise ControlError("failed", f"certificate '{stem}' names no domain; make another one")
        key = _as_key(own.key, stem)
        if not _is_self_signed(own):
            return await trio.to_thread.run_sync(self._renewal_request, stem, names, key)
        lasted = own.facts.not_after - own.facts.not_before
        return await self._self_signed(stem, names, key, lasted.days, caller, replace=True)

    def _renewal_request(self, stem: str, names: list[str], key: Key) -> MadeCertificate:
        csr = request(names, key)
        path = self._folder() / f"{stem}.csr"
        _write(path.parent, Written(path, csr))
        return MadeCertificate(
            name=stem, certificate=None, request=csr.decode(), files=(str(path),)
        )

    # ------------------------------------------------------------ written

    async def _store(
        self, stem: str, leaf: Leaf, caller: Caller, verb: str, *, replace: bool
    ) -> Changed | None:
        """Both files, and the table where it is not there or names others."""
        cert, key = (Path(path) for path in self._paths(stem))
        there = stem in self._kernel.config.certificate
        if (there or await trio.to_thread.run_sync(cert.exists)) and not replace:
            raise ControlError(
                "not now",
                f"there is a certificate '{stem}' already; replace it, or choose another name",
                (ErrorProblem(text=f"'{stem}' is there already", key="name"),),
            )
        before = await trio.to_thread.run_sync(lambda: [_bytes(path) for path in (cert, key)])
        files = (Written(cert, leaf.cert_pem), Written(key, leaf.key_pem, secret=True))
        await trio.to_thread.run_sync(_write, cert.parent, *files)
        edits = self._edits(stem, cert, key)
        try:
            if edits:
                why = f"certificate {stem} {verb}"
                params = ChangeParams(edits=edits, why=why)
                return await self._configuration.change(params, caller)
        except BaseException:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(_put_back, (cert, key), before)
            raise
        await self._kernel.certificates.look_aside()
        return None

    def _edits(self, stem: str, cert: Path, key: Path) -> tuple[Edit, ...]:
        table = self._kernel.config.certificate.get(stem)
        values = {"cert_file": f"{FOLDER}/{cert.name}", "key_file": f"{FOLDER}/{key.name}"}
        path = f'certificate."{stem}"'
        if table is None:
            return (Edit(op="add_table", key=path, value=values),)
        if (table.cert_file, table.key_file) == (cert, key):
            return ()
        gone = [name for name in ("pkcs12_file", "pkcs12_password") if getattr(table, name)]
        return (
            *(Edit(op="unset", key=f"{path}.{name}") for name in gone),
            *(Edit(op="set", key=f"{path}.{name}", value=value) for name, value in values.items()),
        )

    # ------------------------------------------------------------ names and places

    def _known(self, name: str) -> None:
        if name not in self._kernel.config.certificate:
            there = ", ".join(self._kernel.config.certificate) or "none"
            raise ControlError("not found", f"there is no [certificate.{name}]; there are: {there}")

    def _stem(self, name: str) -> str:
        wrong = stem_problem(name)
        if not wrong and _NAME.fullmatch(name) is None:
            wrong = f"'{name}' cannot be a name: letters, digits, '-', '_' and '.', no '.' first"
        if wrong:
            raise _wrong("name", wrong)
        return name

    def _folder(self) -> Path:
        return self._kernel.settings.path.absolute().parent / FOLDER

    def _paths(self, stem: str) -> tuple[str, str]:
        folder = self._folder()
        return str(folder / f"{stem}.crt"), str(folder / f"{stem}.key")

    def _key_file(self, stem: str) -> Path | None:
        """The key of this name that is there already: of ``request``, or of what is in use."""
        table = self._kernel.config.certificate.get(stem)
        given = None if table is None else table.key_file
        path = given or Path(self._paths(stem)[1])
        return path if path.is_file() else None

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._kernel.wall(), UTC)

    def _details(self, own: OwnCertificate) -> CertificateDetails:
        first, *rest = chain_of((own.certificate, *own.chain), self._now())
        return CertificateDetails(
            **first.model_dump(), chain=tuple(CertificateInChain(**o.model_dump()) for o in rest)
        )


# ---------------------------------------------------------------- small steps


def _decoded(key: str, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise _wrong(key, "this is no Base64") from None


def _domains(given: tuple[str, ...]) -> list[str]:
    try:
        return list(dict.fromkeys(proper_domain(one) for one in given))
    except ValueError as error:
        raise _wrong("domains", str(error)) from None


def _wrong(key: str, text: str) -> ControlError:
    return ControlError("params", text, (ErrorProblem(text=text, key=key),))


def _is_self_signed(own: OwnCertificate) -> bool:
    return not own.chain and is_issued_by(own.certificate, own.certificate)


def _usable(path: Path) -> Key:
    try:
        return _as_key(read_key(path), str(path))
    except CertificateError as error:
        raise ControlError("failed", str(error)) from error


def _as_key(key: PrivateKeyTypes, what: str) -> Key:
    if not isinstance(key, Key):
        kind = type(key).__name__
        raise ControlError("failed", f"the key of {what} is neither RSA nor EC but {kind}")
    return key


def _bytes(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _write(folder: Path, *files: Written) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        replace_all(*files)
    except OSError as error:
        where = error.filename or folder
        raise ControlError("failed", f"{where} cannot be written: {error.strerror}") from error


def _put_back(paths: tuple[Path, Path], before: list[bytes | None]) -> None:
    """As it was before, as far as the disk allows; what the change failed with is the error."""
    cert, key = paths
    with suppress(OSError):
        replace_all(
            *(
                Written(path, data, secret=path == key)
                for path, data in zip(paths, before, strict=True)
                if data is not None
            )
        )
        for path, data in zip((cert, key), before, strict=True):
            if data is None:
                path.unlink(missing_ok=True)

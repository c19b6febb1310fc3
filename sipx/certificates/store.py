"""All certificates and authorities of this proxy, and their files as they change.

Files are looked at every half minute. What is new and good is taken up; what is broken is told,
and the last good one goes on working. Nothing here touches a connection: who makes TLS contexts
compares ``generation``.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import trio

from sipx.certificates.anchors import TrustSet, load_anchors, load_crls, trust_files
from sipx.certificates.own import CertificateError, OwnCertificate, load_own
from sipx.identity import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from sipx.config.model import CertificateConfig, KernelConfig
    from sipx.identity import Partner

log = logging.getLogger("sipx.certificates")

LOOK: Final = 30.0
"""Seconds between two looks at the files."""

Stamp = tuple[tuple[str, int, int, int], ...]
"""What tells one state of files from another: path, time of change, size, inode."""


@dataclass(frozen=True, slots=True)
class CertificateState:
    """One table [certificate.NAME]. ``own`` is what is in use, ``error`` what is wrong with the
    files as they are now; both can be there. ``used_by``: interfaces, "wan", tables of plugins.
    """

    name: str
    own: OwnCertificate | None
    error: CertificateError | None
    files: tuple[Path, ...]
    used_by: tuple[str, ...]


class _Entry:
    """Something loaded from files: the last good value, and the last failure."""

    def __init__(
        self,
        kind: str,
        name: str,
        files: Callable[[], Iterable[Path]],
        load: Callable[[], OwnCertificate | TrustSet],
    ) -> None:
        self.kind = kind
        self.name = name
        self.files = files
        self.load = load
        self.stamp: Stamp | None = None
        self.value: OwnCertificate | TrustSet | None = None
        self.error: CertificateError | None = None

    def changed(self) -> tuple[Stamp, OwnCertificate | TrustSet | CertificateError] | None:
        """What the files hold now, if they are others than at the last look. Blocks on disk."""
        stamp = _stamp(self.files())
        if stamp == self.stamp:
            return None
        try:
            return stamp, self.load()
        except CertificateError as error:
            return stamp, error
        except OSError as error:
            remedy = "let the account that sipx runs as read it"
            return stamp, CertificateError("SIPX-T001", str(error), remedy)
        except UNREADABLE as error:
            text = f"its files hold something that cannot be read: {error}"
            return stamp, CertificateError("SIPX-T002", text, "compare it with `sipx cert show`")


class CertificateStore:
    """What [certificate.NAME], [trust] and the partners' own authorities hold now.

    ``wall`` is seconds since 1970. ``trouble`` is told what is wrong with a file, and "" when it
    is right again. Nothing is raised by files that cannot be used: who asks for them is told.
    """

    def __init__(
        self,
        config: KernelConfig,
        partners: Iterable[Partner] = (),
        *,
        wall: Callable[[], float] = time.time,
        trouble: Callable[[str, str, str], None] | None = None,
        look: bool = True,
    ) -> None:
        self.config = config
        self.partners = tuple(partners)
        self.min_tls = config.trust.min_tls
        self.named: Mapping[str, tuple[str, ...]] = {}
        """Who else names a certificate: the tables of plugins, by the certificate's name."""
        self.wall = wall
        self.generation = 0
        self.trust_generation = 0
        """Counts changes of whom we believe: what was found of a peer may not hold any more."""
        self._trouble = trouble or _quiet
        self._own = {
            name: _Entry("certificate", name, *_own_entry(name, table))
            for name, table in config.certificate.items()
        }
        self._trust = {"": _Entry("trust", "[trust]", *self._trust_entry("", None))}
        for partner in self.partners:
            if partner.ca:
                entry = _Entry("trust", partner.name, *self._trust_entry(partner.name, partner))
                self._trust[partner.name] = entry
        self.unread: list[_Entry] = []
        if look:
            self.look()

    # ------------------------------------------------------------ another configuration

    def with_config(self, config: KernelConfig, partners: Iterable[Partner]) -> CertificateStore:
        """A store of another configuration, which shares with this one what is configured alike.

        The files of the rest are in ``unread``; nobody is told what is wrong with them.
        """
        fresh = CertificateStore(config, partners, wall=self.wall, look=False)
        for name, table in config.certificate.items():
            if self.config.certificate.get(name) == table:
                fresh._own[name] = self._own[name]
        if self.config.trust == config.trust:
            for name in fresh._trust.keys() & self._trust.keys():
                if self._ca_of(name) == fresh._ca_of(name):
                    fresh._trust[name] = self._trust[name]
        asked = self._trust[""].stamp is not None
        fresh.unread = [
            entry
            for entry in (*fresh._own.values(), *fresh._trust.values())
            if entry.stamp is None and (asked or entry is not fresh._trust[""])
        ]
        return fresh

    def read(self) -> list[str]:
        """Read what is ``unread``; what of it cannot be used, in words. Blocks on disk."""
        self._take([(entry, entry.changed()) for entry in self.unread])
        return [f"{e.kind} {e.name}: {e.error}" for e in self.unread if e.error is not None]

    def become(self, fresh: CertificateStore) -> None:
        """Be what ``fresh`` is. Contexts are made anew, and peers judged by whom we believe now."""
        for mine, theirs in ((self._own, fresh._own), (self._trust, fresh._trust)):
            for name, entry in mine.items():
                if theirs.get(name) is not entry:
                    self._trouble(entry.kind, entry.name, "")
        believed = self.partners != fresh.partners or self._trust != fresh._trust
        self.generation += believed or self._own != fresh._own
        self.trust_generation += believed
        self._own, self._trust = fresh._own, fresh._trust
        self.config, self.partners, self.min_tls = fresh.config, fresh.partners, fresh.min_tls
        self.named = fresh.named

    def _ca_of(self, name: str) -> tuple[Path, ...]:
        return next((partner.ca for partner in self.partners if partner.name == name), ())

    # ------------------------------------------------------------ what there is

    def own(self, name: str) -> OwnCertificate:
        """A certificate of ours, the last good one. Raises CertificateError."""
        entry = self._own.get(name)
        if entry is None:
            raise CertificateError(
                "SIPX-T001", f"there is no [certificate.{name}]", "add it, or name another"
            )
        if isinstance(entry.value, OwnCertificate):
            return entry.value
        assert entry.error is not None
        raise entry.error.with_traceback(None)

    def usable(self, names: Sequence[str]) -> list[OwnCertificate]:
        """Those of several that can be used, in their order; a broken one does not stop the others.

        Raises CertificateError if there is none.
        """
        found: list[OwnCertificate] = []
        failure: CertificateError | None = None
        for name in names:
            try:
                found.append(self.own(name))
            except CertificateError as error:
                failure = failure or error
        if not found:
            raise failure or CertificateError(
                "SIPX-T001", "no certificate is named", "set certificate, here or in [wan]"
            )
        return found

    def trust(self, name: str = "") -> TrustSet:
        """The authorities of [trust], or of a partner that has its own. Raises CertificateError."""
        entry = self._trust[name]
        if entry.stamp is None:
            self._take([(entry, entry.changed())])
        if isinstance(entry.value, TrustSet):
            return entry.value
        assert entry.error is not None
        raise entry.error.with_traceback(None)

    def states(self) -> tuple[CertificateState, ...]:
        """Every [certificate.NAME], in the order of the file."""
        return tuple(
            CertificateState(
                name,
                entry.value if isinstance(entry.value, OwnCertificate) else None,
                entry.error,
                tuple(entry.files()),
                self._used_by(name),
            )
            for name, entry in self._own.items()
        )

    def trust_errors(self) -> tuple[tuple[str, CertificateError], ...]:
        """What is wrong with lists of authorities, by the name of their partner or "[trust]"."""
        entries = self._trust.values()
        return tuple((entry.name, entry.error) for entry in entries if entry.error is not None)

    def _used_by(self, name: str) -> tuple[str, ...]:
        wan = self.config.wan.certificate == name
        users = ["wan"] if wan else []
        for interface, table in self.config.interface.items():
            if name in table.certificate or name == table.client_certificate:
                users.append(f"interface {interface}")
        users += self.named.get(name, ())
        return tuple(users)

    # ------------------------------------------------------------ files that change

    def look(self) -> bool:
        """Look at all files now; True when something new was taken up. Blocks on disk."""
        return self._take([(entry, entry.changed()) for entry in self._entries()])

    async def look_aside(self) -> None:
        """Look at all files, in a thread: what blocks on disk delays nobody."""
        found = [(entry, await trio.to_thread.run_sync(entry.changed)) for entry in self._entries()]
        there = {id(entry) for entry in self._entries()}
        # Those that another configuration has taken away meanwhile are nobody's any more.
        self._take([(entry, change) for entry, change in found if id(entry) in there])

    def _entries(self) -> tuple[_Entry, ...]:
        """What is looked at: [trust] only once somebody has asked for it."""
        trust = [e for e in self._trust.values() if e.name != "[trust]" or e.stamp is not None]
        return (*self._own.values(), *trust)

    def _take(
        self,
        found: list[
            tuple[_Entry, tuple[Stamp, OwnCertificate | TrustSet | CertificateError] | None]
        ],
    ) -> bool:
        news = False
        for entry, change in found:
            if change is None:
                continue
            entry.stamp, value = change
            if isinstance(value, OwnCertificate) and entry.value is not None:
                worse = _is_worse(value, entry.value, datetime.fromtimestamp(self.wall(), UTC))
                if worse is not None:
                    entry.stamp = None  # time may make it right, or the other one wrong
                    value = worse
            if isinstance(value, CertificateError):
                entry.error = value
                kept = "; the last good one stays in use" if entry.value is not None else ""
                self._trouble(entry.kind, entry.name, f"{value}{kept}")
                continue
            if entry.value is not None:
                what = "certificate" if entry.kind == "certificate" else "authorities of"
                log.info("%s %s: new files are in use: %s", what, entry.name, _summary(value))
            entry.value = value
            entry.error = None
            news = True
            self.trust_generation += entry.kind == "trust"
            self._trouble(entry.kind, entry.name, "")
        self.generation += news
        return news

    def _trust_entry(
        self, name: str, partner: Partner | None
    ) -> tuple[Callable[[], Iterable[Path]], Callable[[], TrustSet]]:
        trust = self.config.trust

        def files() -> tuple[Path, ...]:
            own = trust_files(trust) if partner is None else partner.ca
            return (*own, *trust.crl)

        def load() -> TrustSet:
            paths = trust_files(trust) if partner is None else partner.ca
            return TrustSet(name, load_anchors(paths), load_crls(trust.crl))

        return files, load


def _own_entry(
    name: str, table: CertificateConfig
) -> tuple[Callable[[], Iterable[Path]], Callable[[], OwnCertificate]]:
    password = table.pkcs12_password
    given = (
        table.cert_file,
        table.key_file,
        table.pkcs12_file,
        None if password is None else password.path,
    )
    files = tuple(path for path in given if path is not None)
    return lambda: files, lambda: load_own(name, table)


def _is_worse(
    fresh: OwnCertificate, used: OwnCertificate | TrustSet, now: datetime
) -> CertificateError | None:
    """A new certificate that is not valid now does not replace one that is."""
    assert isinstance(used, OwnCertificate)
    if not used.facts.not_before <= now <= used.facts.not_after:
        return None
    if now > fresh.facts.not_after:
        text = f"the new one expired on {fresh.facts.not_after:%Y-%m-%d %H:%M} UTC"
        return CertificateError("SIPX-T005", text, "renew it")
    if now < fresh.facts.not_before:
        text = f"the new one is valid only from {fresh.facts.not_before:%Y-%m-%d %H:%M} UTC"
        return CertificateError("SIPX-T005", text, "it is taken up then, if this clock is right")
    return None


def _summary(value: OwnCertificate | TrustSet) -> str:
    if isinstance(value, OwnCertificate):
        return f"{value.facts.describe()}, SHA-256 {value.facts.fingerprint}"
    return f"{len(value.anchors)} authorities, {len(value.crls)} revocation lists"


def _stamp(paths: Iterable[Path]) -> Stamp:
    """What is there, without reading it; a directory stands for the files in it."""
    found: list[tuple[str, int, int, int]] = []
    for path in paths:
        try:
            members = sorted(path.iterdir()) if path.is_dir() else [path]
        except OSError:
            members = [path]
        for member in members:
            try:
                stat = member.stat()
                found.append((str(member), stat.st_mtime_ns, stat.st_size, stat.st_ino))
            except OSError:
                found.append((str(member), 0, 0, 0))
    return tuple(found)


def _quiet(kind: str, name: str, text: str) -> None:
    """Nobody listens: a command asks ``states()`` instead."""

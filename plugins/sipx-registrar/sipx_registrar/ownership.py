"""Whose users are whose: what an account may register (SEC-11, REG-1 to REG-4)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sipx import SenderKind, address_of_record
from sipx.sip import RemoteError, SipUri, cached_uri
from sipx_registrar.bindings import logon_place
from sipx_registrar.reading import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from sipx import Account, Binding
    from sipx.sip import Request
    from sipx_registrar.config import RegistrarConfig
    from sipx_registrar.drafts import Draft

_NUMBER: Final = re.compile(r"\+?[0-9][0-9*]*(@.*)?|\+\*(@.*)?|\*")
"""A pattern of users that telephone numbers are among."""


def place_of(request: Request, account: Account, domains: Collection[bytes]) -> tuple[bytes, bool]:
    """Where a REGISTER of this account binds, and whether it is the logon of a server itself.

    Raises Refused and RemoteError.
    """
    uri = cached_uri(request.uri)
    to = _sip_uri(request.to.uri)
    if to is None or to.user is None or to.host not in domains:
        raise Refused(404, "the user in To is not in a domain that is served here")
    if uri.host in domains and uri.host != to.host:
        # RFC 3261 §10.3 item 5: "If the address-of-record is not valid for the domain in the
        # Request-URI, the registrar MUST send a 404 (Not Found) response".
        raise Refused(404, "the user in To is not in the domain of the Request-URI")
    aor = address_of_record(to)
    name = aor.rpartition(b"@")[0]
    if not name or any(octet < 32 or octet == 127 for octet in name):
        raise Refused(404, "the user in To has no name")
    logon = is_logon(account, aor)
    # §10.3 item 4: "the registrar determines if the authenticated user is authorized to modify
    # registrations for this address-of-record ... MUST return a 403".
    if not logon and not account.may_serve(aor):
        raise Refused(403, f"this is no user of {account.name}")
    speaker = _sip_uri(request.from_.uri)
    own = aor if speaker is None else address_of_record(speaker)
    # §10.2: From names "the person responsible for the registration"; a third party is one of
    # whom this account may speak.
    if own != aor and not is_logon(account, own) and not account.may_serve(own):
        raise Refused(403, f"From names no user of {account.name}")
    return logon_place(account.name) if logon else aor, logon


def is_logon(account: Account, aor: bytes) -> bool:
    """Whether an address-of-record is that of a UC server itself."""
    if account.kind is not SenderKind.UC_SERVER or not account.logon:
        return False
    return aor.rpartition(b"@")[0] == account.logon.lower()


def has_numbers(account: Account) -> bool:
    """Whether telephone numbers are among the users of an account (RFC 6140)."""
    return account.users is None or any(map(_NUMBER.fullmatch, account.users.patterns))


class Ownership:
    """Who holds a user now. ``is_down`` says of an account that its server is not there, or that
    there is no such account any more.
    """

    def __init__(self, config: RegistrarConfig, is_down: Callable[[str], bool]) -> None:
        self._config = config
        self._is_down = is_down

    def divided(
        self, before: Sequence[Binding], account: Account
    ) -> tuple[tuple[Binding, ...], tuple[Binding, ...]]:
        """The bindings that an account may take away, its own first, and those it may not.

        That of a server which is down, or has no account any more, holds nobody.
        """
        own: list[Binding] = []
        dead: list[Binding] = []
        live: list[Binding] = []
        for each in before:
            if each.owner == account.name:
                own.append(each)
            elif self._is_down(each.owner):
                dead.append(each)
            else:
                live.append(each)
        return (*own, *dead), tuple(live)

    def kept(self, live: tuple[Binding, ...], *, only_theirs: bool) -> tuple[Binding, ...]:
        """Those of live others that stay when an account registers a user. Raises Refused.

        ``only_theirs``: the account has not registered the user itself. REG-1: "another server's
        binding is not replaced unless the policy says so".
        """
        if self._config.moved == "replace":
            return ()
        if live and only_theirs and self._config.moved == "refuse":
            raise Refused(403, "another server has registered this user")
        return live

    def may_have_more(self, account: Account, table: Draft) -> None:
        """REG-4: one more user for an account. Raises Refused."""
        most = account.max_users
        if most is not None and table.owned_by(account.name) >= most:
            raise Refused(403, f"{account.name} has registered all the {most} users it may have")


def _sip_uri(raw: bytes) -> SipUri | None:
    """A SIP URI; None for tel: and other schemes. Raises RemoteError."""
    try:
        return cached_uri(raw)
    except RemoteError as error:
        if error.status != 416:
            raise
        return None

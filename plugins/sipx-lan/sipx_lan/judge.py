"""Who sends a request: an account, by its certificate, its logon, its address or its password.

Rows 4, 13 to 16, 19, 20, 22, 23 and 29 of docs/trust.md are met here; its tables decide.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final, NamedTuple

from sipx import (
    Accept,
    Action,
    Certificate,
    Decision,
    Flow,
    Incoming,
    PasswordlessAccount,
    Refuse,
    RegistrarAuth,
    Role,
    RouteFacts,
    Sender,
    SenderKind,
    Verdict,
    decide_incoming,
    is_private,
)
from sipx_lan.accounts import AccountTable
from sipx_lan.allowance import Allowance
from sipx_lan.bans import BanLimits, Bans
from sipx_lan.digest import Answer, DigestServer
from sipx_lan.logons import Logons

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipx import Proxy
    from sipx.sip import Request, digest
    from sipx_lan.config import LanConfig
    from sipx_lan.entries import Entry
    from sipx_lan.observer import Observer

THIRD: Final = 3
"""The wrong attempt in a row that the tables refuse; max_failures says how many make it."""
WRONG: Final = "wrong credentials, again and again"
FROM: Final = "the account may not use this address in From"
BANNED: Final = "the source is banned"
UNPROVEN: Final = "a source that has proven nothing asks too often"

_is_private = lru_cache(maxsize=4096)(is_private)

_AUTH: Final = {
    Answer.NONE: RegistrarAuth.NONE,
    Answer.MALFORMED: RegistrarAuth.NONE,
    Answer.STALE: RegistrarAuth.STALE,
    Answer.WRONG: RegistrarAuth.WRONG,
    Answer.VALID: RegistrarAuth.VALID,
}


class Tried(NamedTuple):
    """What the credentials of a request are worth, and for whom; ``failures`` in a row."""

    answer: Answer = Answer.NONE
    entry: Entry | None = None
    failures: int = 0


class Judge:
    """Decides about requests; what it learns by that lives in its tables."""

    def __init__(self, config: LanConfig, proxy: Proxy, observer: Observer) -> None:
        self._proxy = proxy
        self._observer = observer
        self._max_failures = config.max_failures
        self.table = AccountTable(config, proxy.domains)
        realm = config.realm or proxy.config.domains[0]
        self.digest = DigestServer(realm, config.nonce_lifetime)
        self.bans = Bans(BanLimits.of(config))
        self.logons = Logons()
        self._allowance = Allowance()
        self._rows: dict[tuple[str, bool, bool], int] = {}

    def take_over(self, old: Judge) -> None:
        """Challenges, bans and logons hold on; whether a logon still counts is asked each time."""
        self.digest.nonces = old.digest.nonces
        self.bans.take_over(old.bans)
        self.logons = old.logons
        self._allowance = old._allowance
        self.table.adopt(old.table)

    # ------------------------------------------------------------ whoever logs on

    def authenticate(self, request: Request, flow: Flow) -> Verdict | None:
        """The verdict on a request that is no static route's; None: nobody logs on there."""
        proven = self.proven(flow)
        logs_on = flow.interface.role == Role.LAN or proven is not None
        if not logs_on and self._dialled(flow) is None:
            banned = self.bans.banned(flow.address, self._proxy.now())
            return _silence(flow) if banned else None
        return self._judge(request, flow, proven)

    def proven(self, flow: Flow) -> Entry | None:
        """The account whose certificate this is: over mtls, or where sipx has connected to it."""
        examined = flow.examined
        if examined is None or not (flow.transport == "mtls" or flow.outbound):
            return None
        return self.table.proven(examined.partners)

    def _judge(
        self, request: Request, flow: Flow, proven: Entry | None, *, again: bool = False
    ) -> Verdict | None:
        """``again``: a dialog that has not been authenticated here was claimed; ask for proof."""
        now = self._proxy.now()
        known = self.logons.entry_on(flow, self.table)
        # An ACK repeats the used credentials of its INVITE (RFC 3261 §22.1): they say nothing.
        is_ack = request.method == b"ACK"
        credentials = None if is_ack else self.digest.credentials(request)
        tried = None if credentials is None else self.table.of_user(credentials.username)
        if known is not None and (
            self._is_other(request, known, tried, credentials) or not _shows(flow, known)
        ):
            known = None
        if known is not None and flow.account_until > now:
            return self._admit(known, request, self._row(flow, proven))
        if proven is not None and proven.secret is None:
            return self._logged_on(proven, request, flow, self._row(flow, proven), "certificate")
        if self.bans.banned(flow.address, now):
            return _silence(flow)
        expected = known or self._dialled(flow)
        within = credentials is None and (is_ack or _in_dialog(request))
        if within and not again and expected is not None and not expected.by_address:
            # The kernel looks at the cookie of the dialog (row 27), and may ask for credentials.
            verdict = self._admit(expected, request, self._row(flow, proven))
            return Accept(verdict.sender, True) if isinstance(verdict, Accept) else verdict
        claimed = self._by_address(request, flow, expected, tried)
        if is_ack and claimed is None:
            return Refuse(403, "nobody has logged on here")
        outcome = Tried()
        if credentials is not None and claimed is None:
            may_use = partial(self._may_use, tried, flow, proven)
            outcome = self._try(credentials, request, flow, may_use, now)
        decision = decide_incoming(self._facts(request, flow, proven, claimed, outcome))
        if decision.action is Action.ACCEPT:
            entry = claimed or outcome.entry
            if entry is not None:
                how = "address" if entry is claimed else "password"
                return self._logged_on(entry, request, flow, decision.row, how)
        if decision.row == 9 and proven is None:
            return None  # a certificate that proves no account may be somebody else's to judge
        return self._otherwise(decision, outcome, request, flow)

    def _is_other(
        self,
        request: Request,
        known: Entry,
        tried: Entry | None,
        credentials: digest.Credentials | None,
    ) -> bool:
        """Whether a request is not of the account that is known on its flow: it has credentials
        of another one, or From is another one's user: several may share a connection.
        """
        if credentials is not None:
            return tried is None or tried.user != known.user
        return not known.speaks_for(request) and self.table.has_speaker(request)

    def _dialled(self, flow: Flow) -> Entry | None:
        """The account that sipx itself has connected to here."""
        return self.table.dialled(flow.address, flow.port) if flow.outbound else None

    def _by_address(
        self, request: Request, flow: Flow, expected: Entry | None, tried: Entry | None
    ) -> Entry | None:
        """The account without a password that this request is of, as it says (row 29)."""
        if tried is not None:
            return tried if tried.by_address else None
        if expected is not None and expected.by_address:
            return expected
        return self.table.by_address(request, flow.address)

    def _may_use(self, entry: Entry | None, flow: Flow, proven: Entry | None) -> Entry | None:
        """This account if it can log on here at all; if not, it is an unknown user's answer."""
        if entry is None or not entry.logs_on or not entry.comes_from(flow.address):
            return None
        return entry if _shows(flow, entry) and proven in (None, entry) else None

    # ------------------------------------------------------------ static routes

    def authorise(self, request: Request, flow: Flow, sender: Sender) -> Verdict | None:
        """Somebody is known, and has to prove himself with credentials of one of our accounts."""
        if sender.account is not None:
            if self.table.named(sender.account.name) is None:
                return None
            return self._judge(request, flow, self.proven(flow), again=True)
        authorisers = self.table.for_route(sender.name)
        if not authorisers or request.method == b"ACK":
            return None
        now = self._proxy.now()
        known = self.logons.entry_on(flow, self.table)
        outcome = Tried()
        if known is not None and known in authorisers and flow.account_until > now:
            outcome = Tried(Answer.VALID, known)
        elif self.bans.banned(flow.address, now):
            return _silence(flow)
        elif (credentials := self.digest.credentials(request)) is not None:
            of_route = partial(self._of_route, credentials, authorisers, flow)
            outcome = self._try(credentials, request, flow, of_route, now)
        decision = decide_incoming(self._route_facts(request, flow, sender, outcome))
        if decision.action is Action.ACCEPT:
            return Accept(replace(sender, row=decision.row))
        return self._otherwise(decision, outcome, request, flow)

    def _of_route(
        self, credentials: digest.Credentials, authorisers: tuple[Entry, ...], flow: Flow
    ) -> Entry | None:
        """The account of these credentials, if it may authorise this route from here."""
        tried = self.table.of_user(credentials.username)
        return tried if tried in authorisers and tried.comes_from(flow.address) else None

    # ------------------------------------------------------------ steps of both

    def _try(
        self,
        credentials: digest.Credentials,
        request: Request,
        flow: Flow,
        usable: Callable[[], Entry | None],
        now: float,
    ) -> Tried:
        """Judge credentials, and count: by source, so that guessing locks nobody else out."""
        user = credentials.username
        denied = self.bans.denied(flow.address, user, now)
        if denied and self.digest.asked(credentials, flow, now):
            return Tried(Answer.WRONG, None, THIRD)
        answer, entry = self.digest.verify(
            credentials,
            request,
            flow,
            usable,
            now,
            algorithms=self.table.algorithms_at(flow.address),
        )
        if answer is Answer.VALID:
            self.bans.succeeded(flow.address, user)
            return Tried(answer, entry)
        if answer is not Answer.WRONG:
            return Tried(answer)
        failed = self.bans.failed(flow.address, user, now)
        self._observer.failed(user, flow.address, failed)
        scaled = THIRD if failed.in_a_row >= self._max_failures else THIRD - 1
        return Tried(answer, None, scaled)

    def _logged_on(self, entry: Entry, request: Request, flow: Flow, row: int, how: str) -> Verdict:
        """Accept, and remember that this account has proven itself here."""
        account = self.table.at(entry, flow.address)
        verdict = self._admit(account, request, row)
        # A request that is only explained comes on a flow that is none.
        if (
            isinstance(verdict, Accept)
            and flow.id
            and self.logons.entry_on(flow, self.table) is not account
        ):
            before = self.logons.current(account.name, self._proxy.now())
            self.logons.begin(account, flow, how, self._proxy.wall())
            self._observer.logged_on(account.account, flow, how, before)
        return verdict

    def _admit(self, entry: Entry, request: Request, row: int) -> Accept | Refuse:
        if not entry.speaks_for(request):
            return Refuse(403, FROM, row=row)
        return entry.accept(row)

    def _otherwise(
        self, decision: Decision, outcome: Tried, request: Request, flow: Flow
    ) -> Verdict:
        """A question, or a refusal whose words do not tell one user name from another."""
        if decision.action is Action.CHALLENGE:
            now = self._proxy.now()
            limited = decision.limited and not flow.account
            if limited and not self._allowance.spend(flow.address, now):
                return Refuse(0, UNPROVEN)
            asked = self.digest.challenge(
                request,
                flow,
                now,
                stale=decision.stale,
                algorithms=self.table.algorithms_at(flow.address),
            )
            return replace(asked, row=decision.row)
        if decision.action in (Action.DROP, Action.CLOSE):
            return Refuse(0, decision.reason, row=decision.row)
        why = WRONG if outcome.answer is Answer.WRONG else decision.reason
        return Refuse(decision.status or 403, why, row=decision.row)

    # ------------------------------------------------------------ facts

    def _facts(
        self,
        request: Request,
        flow: Flow,
        proven: Entry | None,
        claimed: Entry | None,
        outcome: Tried,
    ) -> Incoming:
        entry = outcome.entry
        is_user = entry is not None and entry.account.kind is SenderKind.USER
        passwordless = None
        if claimed is not None:
            passwordless = PasswordlessAccount(True, claimed.comes_from(flow.address))
        return Incoming(
            protocol=flow.transport if proven is None else "mtls",
            role=Role.LAN,
            method=request.method,
            certificate=Certificate.NONE if flow.examined is None else Certificate.OK,
            server_entry=proven is not None,
            passwordless=passwordless,
            auth=_AUTH[outcome.answer],
            failures=outcome.failures,
            user_account=is_user,
            from_is_account=is_user,  # which of its users From is, is looked at for all accounts
            from_ours=request.from_domain in self._proxy.domains,
            peer_private=_is_private(flow.address),
            bind_private=_is_private(flow.interface.bind),
            matches_invite=True,
        )

    def _route_facts(
        self, request: Request, flow: Flow, sender: Sender, outcome: Tried
    ) -> Incoming:
        return Incoming(
            protocol=flow.transport,
            role=Role(flow.interface.role),
            method=request.method,
            routes=(
                RouteFacts(
                    name=sender.name,
                    covers=request.from_domain in sender.domains,
                    local=sender.kind is SenderKind.UC_SERVER,
                ),
            ),
            auth=_AUTH[outcome.answer],
            failures=outcome.failures,
            from_ours=request.from_domain in self._proxy.domains,
            peer_private=_is_private(flow.address),
            bind_private=_is_private(flow.interface.bind),
            matches_invite=True,
        )

    def _row(self, flow: Flow, proven: Entry | None) -> int:
        """The row that accepts whoever has proven himself on this flow."""
        key = (flow.transport, proven is not None, flow.examined is not None)
        row = self._rows.get(key)
        if row is None:
            decision = decide_incoming(
                Incoming(
                    protocol=flow.transport if proven is None else "mtls",
                    role=Role.LAN,
                    certificate=Certificate.NONE if flow.examined is None else Certificate.OK,
                    server_entry=proven is not None,
                    auth=RegistrarAuth.VALID,
                    from_ours=True,
                )
            )
            row = self._rows[key] = decision.row
        return row


def _shows(flow: Flow, entry: Entry) -> bool:
    """Whether the certificate that an account needs besides is at the other end."""
    if not entry.needs_certificate:
        return True
    return flow.examined is not None and entry.name in flow.examined.partners


def _in_dialog(request: Request) -> bool:
    """Whether a dialog is claimed that this proxy may have recorded (RFC 3261 §12.2)."""
    return request.layout.route >= 0 and request.to.tag is not None


def _silence(flow: Flow) -> Refuse:
    """Who is banned gets no answer, and no connection (docs/trust.md, row 0).

    One that an account has proven itself on stays, and is silent: through an SBC or another proxy
    many share a connection, and any of them could cut off all.
    """
    if flow.reliable and not flow.account:
        flow.close(BANNED)
    return Refuse(0, BANNED)

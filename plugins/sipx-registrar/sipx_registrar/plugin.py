"""The plugin: its hooks, and who answers them."""

from __future__ import annotations

from functools import partial
from math import ceil
from typing import TYPE_CHECKING

from sipx import (
    Check,
    Enquiries,
    Later,
    LocationStore,
    Proxy,
    Refuse,
    SenderKind,
    Service,
    address_of_record,
    hookimpl,
)
from sipx.sip import cached_uri
from sipx_registrar.bindings import Bindings
from sipx_registrar.config import RegistrarConfig
from sipx_registrar.drafts import Draft
from sipx_registrar.events import PartnerOverLimit, shown
from sipx_registrar.memory import MemoryStore
from sipx_registrar.news import News
from sipx_registrar.rates import Rates
from sipx_registrar.reading import Refused, Registration
from sipx_registrar.register import Register, refusal
from sipx_registrar.servers import Servers
from sipx_registrar.sqlite import SqliteStore
from sipx_registrar.writing import PATIENCE, Writing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    import click
    from pydantic import BaseModel

    from sipx import Account, Branch, Finding, Flow, Sender, Target, Targets
    from sipx.sip import Request, Response
    from sipx_registrar.register import Decided


class Registrar:
    """Registrations of users, and which UC server a user's requests go to."""

    Config = RegistrarConfig

    def __init__(self, config: RegistrarConfig, proxy: Proxy) -> None:
        self._config = config
        self._proxy = proxy
        self.bindings = Bindings(proxy.now, proxy.wall)
        self.servers = Servers(config, proxy, self.bindings)
        self.register = Register(config, proxy, self.servers.is_down)
        self._rates = Rates(config.register_rate, proxy.now)
        self._enquiries = Enquiries(config.partner_users, proxy.now, self._over_limit)
        self.store: LocationStore = (
            MemoryStore(self.bindings)
            if config.store == "memory"
            else SqliteStore(lambda: proxy.state_dir, self._damaged)
        )
        self._replaced: LocationStore | None = None
        """The store of the instance that this one replaces: as long as the reload is not through
        that is still the proxy's."""
        self.news = News(proxy, self.servers)
        self.writing = Writing(
            proxy,
            self.bindings,
            self.register,
            choose=self._store_in_use,
            news=self.news,
            retry_after=config.retry_after,
        )

    @hookimpl
    def option_tags(self) -> Iterable[bytes]:
        """RFC 6140 §5.1: a bulk registration says ``gin`` in Proxy-Require too."""
        return (b"gin",)

    # ------------------------------------------------------------ requests

    @hookimpl
    def serve_request(
        self, request: Request, sender: Sender, flow: Flow
    ) -> Response | Later[Response] | None:
        """REGISTER for one of our domains."""
        if request.method != b"REGISTER":
            return None
        account = sender.account
        if account is None or account.kind not in (SenderKind.UC_SERVER, SenderKind.USER):
            return refusal(request, Refuse(403, "only who logs on with an account can register"))
        try:
            asked = self._admitted(request, account, flow)
            if not asked.changes:
                return self.register.answer(self.register.decide(asked, Draft(self.bindings)))
            if self.writing.at_once:
                return self.register.answer(self.writing.now(asked))
        except Refused as refused:
            return self._refused(request, account, refused.answer)
        return Later(partial(self._stored, asked, self.writing.later(asked)), PATIENCE + 2)

    def _admitted(self, request: Request, account: Account, flow: Flow) -> Registration:
        """What a REGISTER asks for, if its account may ask for something now. Raises Refused."""
        self.servers.shows_up(account)
        if not self._rates.admits(account.name):
            raise Refused(
                503,
                f"{account.name} registers more than {self._config.register_rate} times a second",
                (b"Retry-After", b"%d" % ceil(self._config.retry_after)),
            )
        refuse = self.servers.admits(account)
        if refuse is not None:
            raise Refused(refuse.status, refuse.why, *refuse.headers)
        return self.register.read(request, account, flow)

    async def _stored(
        self, asked: Registration, committed: Callable[[], Awaitable[Decided | Refuse]]
    ) -> Response:
        decided = await committed()
        if isinstance(decided, Refuse):
            return self._refused(asked.request, asked.account, decided)
        return self.register.answer(decided)

    def _refused(self, request: Request, account: Account, refuse: Refuse) -> Response:
        response = refusal(request, refuse)
        self.news.refused(request, account, refuse.status, refuse.why or shown(response.reason))
        return response

    @hookimpl
    def determine_targets(self, request: Request, sender: Sender) -> Targets | Refuse | None:
        """Whoever is registered, or the server whose user it is."""
        if not sender.trusted and sender.kind is SenderKind.PARTNER:
            # Whoever discovered a partner has limits of his own for it.
            refuse = self._too_curious(request, sender)
            if refuse is not None:
                return refuse
        return self.servers.determine_targets(request, sender)

    def _too_curious(self, request: Request, sender: Sender) -> Refuse | None:
        """SEC-22: whoever tries name after name is told to wait, whether there is such a user."""
        uri = cached_uri(request.uri)
        if uri.user is None or uri.host not in self._proxy.domains:
            return None
        seconds = self._enquiries.wait(sender.name, address_of_record(uri))
        if not seconds:
            return None
        return Refuse(
            503,
            f"{sender.name} has asked for too many different users today",
            ((b"Retry-After", b"%d" % min(ceil(seconds), 3600)),),
        )

    def _over_limit(self, partner: str, seconds: float) -> None:
        most = self._config.partner_users
        self._proxy.log.warning(
            "%s has asked for %d different users within a day; for %d s it may ask for no others",
            partner,
            most,
            seconds,
        )
        self._proxy.report(PartnerOverLimit(partner, most, seconds))

    @hookimpl
    def dialog_target(
        self, peer: bytes, flow: Flow | None, sender: Sender
    ) -> Target | Refuse | None:
        """The way to a server or user that a dialog is with, now."""
        return self.servers.dialog_target(peer, flow, sender)

    @hookimpl
    def explain_targets(self, request: Request, sender: Sender) -> Iterable[str]:
        """For ``sipx routes explain``."""
        return self.servers.explain_targets(request, sender)

    @hookimpl
    def forward_request(self, request: Request, target: Target) -> None:
        """Requests are counted by the server that they go to."""
        self.servers.forward_request(request, target)

    @hookimpl
    def process_response(self, response: Response, branch: Branch) -> None:
        """What a server answers says how it is."""
        self.servers.process_response(response, branch)

    @hookimpl
    def flow_closed(self, flow: Flow, reason: str) -> None:
        """Its bindings cannot be reached over it any more."""
        self.servers.flow_closed(flow, reason)
        self.bindings.flow_closed(flow)

    # ------------------------------------------------------------ life

    @hookimpl
    def services(self) -> Iterable[Service]:
        """What keeps the registrations, and what watches the servers."""
        return [self.writing.registrations, *self.servers.services()]

    @hookimpl
    def location_store(self) -> LocationStore:
        """Where registrations live, unless a plugin before this one has another place."""
        return self.store

    def _store_in_use(self) -> LocationStore:
        found = self._proxy.location_store()
        return self.store if found is None or found is self._replaced else found

    def _damaged(self, said: str) -> None:
        self._proxy.log.error("%s", said)
        self._proxy.note_trouble("store", "damaged file", said)

    @hookimpl
    def take_over(self, old: Registrar) -> None:
        """What is registered stays, and what is known of the servers."""
        # What was asked of this one already, its services and methods, goes on being asked: so
        # its parts stay what they are, and learn what the old ones know.
        self.bindings.take_over(old.bindings)
        self.writing.take_over(old.writing)
        self._replaced = old.store
        self.servers.take_over(old.servers)
        self._enquiries.take_over(old._enquiries)

    @hookimpl
    def reloaded(self) -> None:
        """Accounts may have changed, and another plugin may have a store."""
        self._replaced = None
        self.servers.accounts_changed()
        self.writing.look_again()

    # ------------------------------------------------------------ seen and steered

    @hookimpl
    def status_sections(self) -> Mapping[str, BaseModel | Sequence[BaseModel]]:
        """``sipx status``."""
        from sipx_registrar.registrations_state import RegistrationCounts

        store = self.writing.store
        counts = RegistrationCounts(
            store="" if store is None else store.name,
            users=len(self.bindings),
            registrations=self.bindings.count(),
        )
        return {"registrations": counts, **self.servers.status_sections()}

    @hookimpl
    def control_methods(self) -> Mapping[str, Callable[..., object]]:
        """``registrar.*``."""
        from sipx_registrar.registrations_control import RegistrationMethods

        own = RegistrationMethods(self._proxy, self.bindings, self.writing)
        return {**own.methods(), **self.servers.control_methods()}

    @hookimpl
    def commands(self) -> Iterable[click.Command]:
        """``sipx registrations`` and ``sipx servers``."""
        from sipx_registrar.registrations_commands import registrations

        return [registrations, *Servers.commands()]

    @hookimpl
    def checks(self) -> Iterable[Check]:
        """For ``sipx check registrar`` and ``sipx check servers``."""
        return [Check("registrar", self._findings), *self.servers.checks()]

    def _findings(self) -> Iterable[Finding]:
        from sipx_registrar.registration_checks import findings

        return findings(self._config, self._proxy)

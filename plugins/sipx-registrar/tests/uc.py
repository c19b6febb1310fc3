"""UC servers on the network in memory: they log on, register users, are killed and come back."""

from __future__ import annotations

import trio

from sipx import Accept, Account, DomainSet, NextHop, Sender, SenderKind, UserSet, hookimpl
from sipx.testing import UserAgent, register
from sipx.testing.network import MemoryTcpCarrier, MemoryUdpCarrier

HOME = "home.example"
PROXY = ("127.0.0.1", 5060)


class Accounts:
    """A plugin that knows accounts by the address that they come from, instead of passwords."""

    def __init__(self, site):
        self.site = site
        self.accounts_ = {}
        self.senders = {}

    def add(self, name, address, *, kind=SenderKind.UC_SERVER, users=None, **facts):
        users = None if users is None else UserSet(users)
        account = Account(name, kind, users, name.encode(), **facts)
        self.accounts_[name] = account
        trusted = kind is SenderKind.UC_SERVER
        self.senders[address] = Sender(
            kind, name, DomainSet([HOME]), trusted=trusted, account=account
        )
        return account

    @hookimpl
    def accounts(self):
        return self.accounts_.values()

    @hookimpl
    def authenticate_request(self, request, flow):
        sender = self.senders.get(flow.address)
        if sender is None:
            return None
        flow.account = sender.name
        return Accept(sender)


class UcServer:
    """One UC server with its users. ``agent`` is its user agent while it runs."""

    def __init__(self, site, name, number, transport):
        self.site = site
        self.name = name
        self.address = f"127.0.2.{number}"
        self.transport = transport
        self.scope = None
        self.agent = None

    @property
    def state(self):
        return self.site.servers.known.servers[self.name].state

    @property
    def server(self):
        return self.site.servers.known.servers[self.name]

    async def start(self, port=5060):
        """Run, without logging on."""
        kind = MemoryTcpCarrier if self.transport == "tcp" else MemoryUdpCarrier
        carrier = kind(self.site.proxy.network, (self.address, port))
        self.agent = UserAgent(f"sip:{self.name}@{HOME}", carrier, proxy=PROXY, seed=port)
        self.scope = trio.CancelScope()
        await self.site.nursery.start(self._serve)

    async def _serve(self, *, task_status=trio.TASK_STATUS_IGNORED):
        with self.scope:
            await self.agent.serve(task_status=task_status)

    async def log_on(self, *users, port=5060, expires=3600, **options):
        """Run, and register the server itself and its users."""
        if self.agent is None:
            await self.start(port)
        own = await register(self.agent, f"sip:{self.name}@{HOME}", expires=expires, **options)
        for user in users:
            await self.binds(user, expires=expires)
        return own

    async def binds(self, user, **options):
        """Register a user, as third party."""
        sender = f"sip:{self.name}@{HOME}"
        return await register(self.agent, f"sip:{user}@{HOME}", sender=sender, **options)

    async def kill(self):
        """It is gone, with all its connections, and takes no new ones."""
        self.site.proxy.network.deaf(self.agent.place)
        self.scope.cancel()
        self.agent = None
        await settle()

    def got(self, method="MESSAGE"):
        """How many requests have come here."""
        return self.agent.received[method]

    def mute(self, *methods):
        """Take these and give them no final answer."""
        for method in methods:
            self.agent.on(method, _nothing)

    def hang(self):
        """Take all and answer nothing, not even provisionally."""
        self.agent.transactions = Hanging(self.agent.transactions)

    def goes_on(self):
        """It hangs no more."""
        self.agent.transactions = self.agent.transactions.real

    def answers(self, method, status, headers=()):
        async def answer(agent, request):
            agent.reply(request, status, headers=headers)

        self.agent.on(method, answer)


class Hanging:
    """Transactions that take no request."""

    def __init__(self, real):
        self.real = real

    def on_request(self, request, flow):
        """It is read, and that is all."""

    def __getattr__(self, name):
        return getattr(self.real, name)


async def _nothing(agent, request):
    await trio.lowlevel.checkpoint()


async def settle():
    """Let what is under way in memory arrive, without any time passing."""
    for _ in range(30):
        await trio.lowlevel.checkpoint()


class Site:
    """A proxy with a registrar, its UC servers, and a partner who writes to their users."""

    def __init__(self, proxy, nursery):
        self.proxy = proxy
        self.nursery = nursery
        self.accounts = Accounts(self)
        hooks = proxy.kernel.hooks
        hooks._order.insert(0, "lab-accounts")
        hooks.register("lab-accounts", self.accounts)
        self.partner = proxy.peer("away.example")
        self._numbers = 0

    @property
    def servers(self):
        return self.proxy.plugin("registrar").servers

    def server(self, name, *, transport="tcp", listens=False, **facts):
        """An account; ``listens``: sipx connects to it by itself."""
        self._numbers += 1
        one = UcServer(self, name, self._numbers, transport)
        if listens:
            facts["hop"] = NextHop(one.address, 5060, transport)
        self.accounts.add(name, one.address, **facts)
        self.servers.accounts_changed()
        return one

    async def message(self, user="alice"):
        """A message of the partner; its final response."""
        return await self.partner.message(f"sip:{user}@{HOME}", "hello")

    async def status(self, user="alice"):
        return (await self.message(user)).status

    def changes(self, name):
        """The states a server has gone through, as events told."""
        return [
            (event.before, event.after)
            for plugin, event in self.proxy.events
            if type(event).__name__ == "ServerChanged" and event.name == name
        ]

"""A UC server in one file, to try sipx with: it logs on, registers its users, and shows what comes.

    python3 uc_server.py berlin --users alice,reception --password-file berlin.password

What is typed is sent: ``alice bob Hello Munich`` is a message from alice to bob. Ctrl-C ends it.
It is made of the user agent that sipx is tested with, and knows no more than this page of code.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import trio

from sipx.sip import SipUri
from sipx.testing import (
    Logon,
    NoAnswerError,
    RefusedError,
    Registration,
    TcpCarrier,
    UserAgent,
    register,
    running,
)

REFRESH = 2.0
"""Seconds between two REGISTERs of a user: often, so that a restart of sipx is soon noticed."""


class UcServer:
    """One UC server with its users."""

    def __init__(self, name: str, domain: str, users: list[str], password: str) -> None:
        self.name, self.domain, self.users = name, domain, users
        self.agent = UserAgent(f"sip:{name}@{domain}", TcpCarrier())
        self.agent.logon = Logon(name, password)
        self.agent.on("MESSAGE", self.take_message)
        self.registered: dict[str, Registration] = {}
        self.well = False

    async def run(self, proxy: tuple[str, int]) -> None:
        """Until Ctrl-C, or until the logon is refused."""
        self.agent.proxy = proxy
        async with running(self.agent), trio.open_nursery() as nursery:
            nursery.start_soon(self.read_what_is_typed)
            await self.stay_logged_on()
            nursery.cancel_scope.cancel()

    async def stay_logged_on(self) -> None:
        """Register everybody again and again, until that is refused."""
        while True:
            if not await self.log_on():
                return
            await trio.sleep(REFRESH)

    async def log_on(self) -> bool:
        """Register everybody, or refresh that. False if it is refused."""
        before = self.well
        try:
            for user in self.users:
                if user in self.registered:
                    await self.registered[user].refresh()
                else:
                    self.registered[user] = await register(
                        self.agent, self.uri_of(user), expires=600, sender=self.agent.uri
                    )
            self.well = True
        except RefusedError as refused:
            self.say(f"refused: {refused}")
            return False
        except NoAnswerError:
            self.well = False
        if self.well != before:
            registered = f"logged on, registered {', '.join(self.users)}"
            self.say(registered if self.well else "sipx does not answer; trying again")
        return True

    async def take_message(self, agent: UserAgent, message: object) -> None:
        """A MESSAGE has come."""
        sender, receiver = (user_of(address.uri) for address in (message.from_, message.to))
        self.say(f"{receiver} has a message from {sender}: {message.body.decode()}")
        agent.reply(message, 200)

    async def read_what_is_typed(self) -> None:
        """Each line: who writes, to whom, what."""
        while line := await trio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True):
            sender, _, rest = line.strip().partition(" ")
            receiver, _, text = rest.partition(" ")
            if text:
                await self.write(sender, receiver, text)

    async def write(self, sender: str, receiver: str, text: str) -> None:
        """Send a message, and say what became of it."""
        to = self.uri_of(receiver)
        try:
            response = await self.agent.message(to, text, sender=self.uri_of(sender))
        except NoAnswerError as error:
            self.say(f"no answer: {error}")
        else:
            self.say(f"{receiver}: {response.status} {response.reason.decode()}")

    def uri_of(self, user: str) -> str:
        """An address in this domain, unless the user has one of its own."""
        return f"sip:{user}" if "@" in user else f"sip:{user}@{self.domain}"

    def say(self, text: str) -> None:
        """A line on the terminal."""
        print(f"{self.name}: {text}", flush=True)


def user_of(uri: bytes) -> str:
    """The user part of a URI."""
    return (SipUri.parse(uri).user or b"").decode()


def main() -> int:
    """Read the command line, and run."""
    parser = argparse.ArgumentParser(description="A UC server to try sipx with.")
    parser.add_argument("name", help="the name of its account")
    parser.add_argument("--users", required=True, help="its users, with commas between them")
    parser.add_argument("--password-file", type=Path, required=True)
    parser.add_argument("--domain", default="home.example")
    parser.add_argument("--proxy", default="127.0.0.1:5060", help="where sipx listens")
    given = parser.parse_args()
    host, _, port = given.proxy.rpartition(":")
    password = given.password_file.read_text().strip()
    server = UcServer(given.name, given.domain, given.users.split(","), password)
    code = 1
    try:
        trio.run(server.run, (host, int(port)))
    except* KeyboardInterrupt:
        server.say("stopped")
        code = 0
    return code


if __name__ == "__main__":
    sys.exit(main())

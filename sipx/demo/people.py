"""Who is in the demonstration, and what they say to each other."""

from __future__ import annotations

from typing import Final, NamedTuple

HOME: Final = "home.example"
"""A domain with two UC servers."""
PARTNER: Final = "partner.example"
"""A domain with one. Neither knows more of the other than what the DNS and certificates say."""
DOMAINS: Final = (HOME, PARTNER)
"""Each has a sipx of its own."""
STRANGER: Final = "stranger.example"
"""A domain with a good certificate, whose server says that it is somebody else's."""

BERLIN: Final = "berlin"
MUNICH: Final = "munich"
"""The UC server that is stopped and comes back."""
VIENNA: Final = "vienna"

SERVERS: Final = {BERLIN: HOME, MUNICH: HOME, VIENNA: PARTNER}
"""The UC servers and their domains."""


class Person(NamedTuple):
    """A user of one of the two domains; ``server`` is the one that registers him."""

    name: str
    domain: str
    server: str

    @property
    def uri(self) -> str:
        """The address-of-record."""
        return f"sip:{self.name}@{self.domain}"

    def __str__(self) -> str:
        return f"{self.name}@{self.domain}"


ALICE: Final = Person("alice", HOME, BERLIN)
BOB: Final = Person("bob", HOME, MUNICH)
CAROL: Final = Person("carol", HOME, MUNICH)
DAVE: Final = Person("dave", PARTNER, VIENNA)
ERIN: Final = Person("erin", PARTNER, VIENNA)
FRANK: Final = Person("frank", PARTNER, VIENNA)

PEOPLE: Final = (ALICE, DAVE, BOB, ERIN, CAROL, FRANK)

STAND_INS: Final = {BOB: BERLIN}
"""Who has another server while his own is away; everybody else has none."""

WATCHES: Final = (
    (ALICE, DAVE),
    (DAVE, ALICE),
    (BOB, ERIN),
    (ERIN, BOB),
    (CAROL, FRANK),
    (FRANK, CAROL),
    (ALICE, CAROL),
    (FRANK, ALICE),
)
"""Who subscribes to whose presence."""

AVAILABLE: Final = "available"
ON_THE_PHONE: Final = "on the phone"
STATES: Final = ("in a meeting", "away", AVAILABLE, "at lunch", "do not disturb", AVAILABLE)
"""What people turn to, one after the other."""

FIRST: Final = (ALICE, DAVE, "Dave, can you read this?")
"""What is written first, while nobody else does anything: so it is seen how the domains meet."""
TALK: Final = (
    (ALICE, DAVE, "Good morning, Dave!"),
    (DAVE, ALICE, "Hello Alice, you are up early."),
    (ERIN, BOB, "Bob, is the offer ready?"),
    (BOB, ERIN, "Nearly. You have it by noon."),
    (CAROL, ALICE, "Alice, how is Berlin?"),
    (ALICE, CAROL, "Grey. And Munich?"),
    (CAROL, FRANK, "Frank, lunch at half past twelve?"),
    (FRANK, CAROL, "Gladly. The usual place?"),
    (ALICE, ERIN, "Erin, can I call you in a minute?"),
    (ERIN, ALICE, "Yes, I am at my desk."),
    (CAROL, FRANK, "The usual place. Bring Dave along."),
    (DAVE, BOB, "Bob, the numbers look good: 10 % more."),
    (BOB, DAVE, "Très bien! Then let us sign."),
    (FRANK, ALICE, "Alice, I shall be five minutes late."),
)
"""Who writes what to whom."""

CALLS: Final = ((ALICE, DAVE), (ERIN, BOB), (CAROL, FRANK), (DAVE, ALICE))
"""Who calls whom."""

STOPPED: Final = ((FRANK, CAROL, "Carol?"), (ERIN, BOB, "Bob, are you there?"))
"""What is written as soon as the server of both has stopped."""
BACK: Final = (
    (FRANK, CAROL, "Carol, there you are."),
    (ERIN, BOB, "Bob, good to have you back."),
    (ALICE, CAROL, "Hello Munich!"),
)
"""What is written as soon as it is back."""

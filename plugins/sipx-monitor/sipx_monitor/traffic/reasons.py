"""Why a proxy changes a message: the rule behind each difference of a message and its twin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipx_monitor.traffic.diff import BODY, START, diff, name_of

if TYPE_CHECKING:
    from sipx_monitor.traffic.diff import Change
    from sipx_monitor.traffic.message import Message

_BORDER: Final = frozenset(
    ("p-asserted-identity", "p-preferred-identity", "remote-party-id", "privacy")
)
_FOREIGN: Final = ("ms-edge-", "ms-asserted-", "ms-user-logon-data", "p-charging-", "x-sipx-")
_AN_ANSWER: Final = "no rule of a proxy asks for it: a plugin did it (hook process_response)"
_A_PLUGIN: Final = "no rule of a proxy asks for it: a plugin did it (hook forward_request)"

_REQUEST: Final = {
    (START, "changed"): "the target's URI replaces the Request-URI: RFC 3261 §16.6 step 2",
    ("via", "added"): "our Via on top, with a branch of its own: RFC 3261 §16.6 step 8",
    ("via", "changed"): "received and rport say where the request really came from: RFC 3261 "
    "§18.2.1, RFC 3581 §4",
    ("max-forwards", "changed"): "one hop less: RFC 3261 §16.6 step 3",
    ("max-forwards", "added"): "there was none: RFC 3261 §16.6 step 3",
    ("max-breadth", "added"): "there was none, and it bounds forking: RFC 5393 §5.3.3",
    ("max-breadth", "changed"): "shared among the branches: RFC 5393 §5.3.3",
    ("record-route", "added"): "sipx stays on the way of the dialog: RFC 3261 §16.6 step 4; one "
    "for each side where they differ: RFC 5658",
    ("route", "removed"): "it named sipx: RFC 3261 §16.4",
    ("route", "added"): "the way that the target registered (RFC 3327 §5.4), or that the target "
    "wants: RFC 3261 §16.6 step 6",
    ("route", "changed"): "the next hop is a strict router: RFC 3261 §16.6 step 6",
    ("path", "added"): "answers to the registered address come back this way: RFC 3327 §5.2",
    ("content-length", "added"): "a stream needs it to know where the message ends: RFC 3261 "
    "§16.6 step 9",
    ("authorization", "removed"): "these credentials were meant for sipx: RFC 3261 §22.3",
    ("proxy-authorization", "removed"): "these credentials were meant for sipx: RFC 3261 §22.3",
}
_RESPONSE: Final = {
    (START, "changed"): "503 becomes 500, as only this way is closed: RFC 3261 §16.7 step 6; or "
    "the best response of several: step 5",
    ("via", "removed"): "our Via is taken off: RFC 3261 §16.7 step 3",
    ("record-route", "changed"): "it shows the side of sipx that its reader can reach: RFC 3261 "
    "§16.7 step 8",
    ("content-length", "added"): "a stream needs it to know where the message ends: RFC 3261 "
    "§20.14",
    ("www-authenticate", "added"): "the challenges of all branches: RFC 3261 §16.7 step 7",
    ("proxy-authenticate", "added"): "the challenges of all branches: RFC 3261 §16.7 step 7",
    ("warning", "added"): "why sipx changed or gave the answer: RFC 3261 §20.43",
}


def changes(came: Message, left: Message, *, bodies: bool = True) -> list[tuple[Change, str]]:
    """What the proxy did to a message, with the rule of each change."""
    return [
        (change, "" if change.op == "same" else why(change, response=bool(left.status)))
        for change in diff(came, left, bodies=bodies)
    ]


def why(change: Change, *, response: bool) -> str:
    """The rule behind one change of a message that was forwarded."""
    name = change.name if change.name in (START, BODY) else name_of(change.name)
    known = (_RESPONSE if response else _REQUEST).get((name, change.op))
    if known is not None:
        return known
    if change.op == "moved":
        return "the same line at another place: header lines of other names went before it"
    if name in _BORDER:
        return (
            "identity is told to trusted neighbours only: RFC 3325 §5 and §7"
            if change.op == "removed"
            else "identity, as trust allows it: RFC 3325 §5"
        )
    if name.startswith(_FOREIGN):
        return "marks of trust of another domain do not cross the border: RFC 3325 §5"
    if change.op == "changed" and change.a.partition(":")[2].strip() == (
        change.b.partition(":")[2].strip()
    ):
        return "the same value, written otherwise: RFC 3261 §7.3.1 and §7.3.3"
    return _AN_ANSWER if response else _A_PLUGIN

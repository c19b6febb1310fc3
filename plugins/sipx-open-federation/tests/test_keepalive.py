"""``ms-keep-alive`` between two proxies: asked, answered, kept to, and never passed on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from sipx_open_federation.keepalive import ASKS, HEADER, KeepAlive, said

from sipx import Partner, Sender, SenderKind, Target
from sipx.testing import a_request

if TYPE_CHECKING:
    from sipx import Branch
    from sipx.sip import Request

PARTNER = Partner(name="partner.example (discovered)", domain=b"partner.example", discovered=True)
OUTWARD = Target(name=PARTNER.name, partner=PARTNER, discovered=True)
INWARD = Target(name="uc")
DISCOVERED = Sender(SenderKind.DISCOVERED, PARTNER.name, (), trusted=False, partner=PARTNER)
SERVER = Sender(SenderKind.UC_SERVER, "uc", (), trusted=True)
TAUGHT = b"UAS; tcp=no; hop-hop=yes; end-end=no; timeout=300"


def asking(value: bytes | None, method: str = "SUBSCRIBE") -> Request:
    return a_request(method, headers=() if value is None else (HEADER + b": " + value,))


def branch(target: Target, request: Request, sender: Sender) -> Any:
    context = SimpleNamespace(request=request, sender=sender)
    return SimpleNamespace(target=target, context=context, flow=SimpleNamespace(ping_every=0.0))


def answered(value: bytes | None, asked: bytes | None, *, inward: bool, status: int = 200) -> Any:
    """A response with this header to a request with that one; returns it and its branch."""
    request = asking(asked)
    response = request.reply(status, headers=() if value is None else ((HEADER, value),))
    sender = DISCOVERED if inward else SERVER
    over = branch(INWARD if inward else OUTWARD, request, sender)
    KeepAlive(600.0).on_response(response, cast("Branch", over))
    return response, over


# ---------------------------------------------------------------- what the header says


@pytest.mark.parametrize(
    ("value", "role", "timeout"),
    [
        (b"UAC;hop-hop=yes", b"uac", None),
        (TAUGHT, b"uas", b"300"),
        (b"uas;Hop-Hop=YES ; timeout = 120;new=thing", b"uas", b"120"),
        (b"UAC", b"uac", None),
    ],
)
def test_reading(value: bytes, role: bytes, timeout: bytes | None) -> None:
    found = said(asking(value))
    assert found is not None
    assert (found[0], found[1].get(b"timeout")) == (role, timeout)


@pytest.mark.parametrize("value", [b"", b"proxy;hop-hop=yes", b"UACx", b"UAC hop-hop=yes"])
def test_what_is_malformed_says_nothing(value: bytes) -> None:
    assert said(asking(value)) is None


def test_a_header_that_is_there_twice_says_nothing() -> None:
    twice = a_request("SUBSCRIBE", headers=(HEADER + b": " + ASKS, HEADER + b": " + TAUGHT))
    assert said(twice) is None


# ---------------------------------------------------------------- a partner asks


def test_a_partner_that_asks_is_told_when_its_connection_would_be_closed() -> None:
    response, _ = answered(None, b"UAC;hop-hop=yes", inward=True)
    assert response.get_all(HEADER) == [TAUGHT]


@pytest.mark.parametrize(
    ("idle", "timeout"), [(600.0, b"300"), (3600.0, b"300"), (120.0, b"88"), (40.0, b"20")]
)
def test_what_is_offered_is_shorter_than_what_is_idle(idle: float, timeout: bytes) -> None:
    assert KeepAlive(idle).answer.endswith(b"timeout=" + timeout)


@pytest.mark.parametrize("asked", [None, b"UAC;hop-hop=no", b"UAC;tcp=yes", b"UAS;hop-hop=yes"])
def test_who_asks_for_something_else_is_told_nothing(asked: bytes | None) -> None:
    response, _ = answered(None, asked, inward=True)
    assert response.get(HEADER) is None


def test_a_provisional_response_agrees_on_nothing() -> None:
    response, _ = answered(None, ASKS, inward=True, status=180)
    assert response.get(HEADER) is None


def test_what_our_own_server_says_stays_inside() -> None:
    response, _ = answered(b"UAS;hop-hop=yes;timeout=7", ASKS, inward=True)
    assert response.get_all(HEADER) == [TAUGHT]


def test_the_question_of_a_partner_does_not_go_on_to_our_server() -> None:
    request = asking(ASKS)
    KeepAlive(600.0).on_forward(request, INWARD)
    assert request.get(HEADER) is None


# ---------------------------------------------------------------- we ask


@pytest.mark.parametrize("method", ["SUBSCRIBE", "INVITE"])
def test_a_partner_is_asked_with_what_leads_to_a_dialog(method: str) -> None:
    request = asking(b"UAC;tcp=yes", method)
    KeepAlive(600.0).on_forward(request, OUTWARD)
    assert request.get_all(HEADER) == [ASKS]


def test_with_other_methods_nobody_is_asked() -> None:
    request = asking(ASKS, "MESSAGE")
    KeepAlive(600.0).on_forward(request, OUTWARD)
    assert request.get(HEADER) is None


def test_the_connection_is_kept_alive_after_two_thirds_of_what_was_said() -> None:
    response, over = answered(TAUGHT, ASKS, inward=False)
    assert over.flow.ping_every == pytest.approx(200.0)
    assert response.get(HEADER) is None


@pytest.mark.parametrize(
    "value",
    [
        b"UAS;hop-hop=no;timeout=300",
        b"UAS;tcp=yes;timeout=300",
        b"UAC;hop-hop=yes;timeout=300",
        b"UAS;hop-hop=yes",
        b"UAS;hop-hop=yes;timeout=0",
        b"UAS;hop-hop=yes;timeout=-5",
        b"UAS;hop-hop=yes;timeout=9999999999",
    ],
)
def test_what_is_no_agreement_changes_nothing(value: bytes) -> None:
    _, over = answered(value, ASKS, inward=False)
    assert over.flow.ping_every == 0.0


def test_nobody_makes_us_send_keepalives_all_the_time() -> None:
    _, over = answered(b"UAS;hop-hop=yes;timeout=1", ASKS, inward=False)
    assert over.flow.ping_every == 2.0


def test_between_our_own_servers_nothing_is_said() -> None:
    request = asking(ASKS)
    response = request.reply(200)
    KeepAlive(600.0).on_response(response, cast("Branch", branch(INWARD, request, SERVER)))
    assert response.get(HEADER) is None

"""``sipx check stun``: findings with their codes."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from sipx_stun import kept
from sipx_stun.behaviour import Filtering, Mapping, NatType
from sipx_stun.checks import findings
from sipx_stun.config import StunConfig
from sipx_stun.state import SourceShown

from .conftest import EPOCH, INSIDE, ONE, TWO, World, interface, settings


@pytest.fixture
def look(kernel):
    """The findings, as {code: (severity, text)}; the world is ``look.world``."""
    kernel.wall = lambda: EPOCH

    def run(*servers, **more):
        run.world.takes_time = False
        given = findings(settings(*servers, **more), kernel, run.world)
        run.remedies = {}
        found = {}
        for one in given:
            found[one.code] = (one.severity.value, one.text)
            run.remedies[one.code] = one.remedy
        return found

    run.world = World(ONE)
    return run


def test_what_is_right_is_told(look):
    assert look() == {
        "SIPX-S001": (
            "ok",
            f"the public address is {ONE}, says 192.0.2.53; {INSIDE} is behind NAT: Port "
            "Restricted Cone (mapping endpoint-independent, filtering address-and-port-dependent)",
        )
    }


def test_the_kind_of_the_nat_is_left_out_where_nobody_wants_it(look):
    assert look(detect_nat_type=False)["SIPX-S001"][1].endswith(f"{INSIDE} is behind NAT")
    assert [nat for *_, nat in look.world.asked] == [False]


def test_the_kind_that_a_running_sipx_has_found_is_not_looked_for_again(look, kernel):
    shown = SourceShown(
        bind="*", family=4, public=ONE, nat="Full Cone", mapping="endpoint-independent",
        filtering="endpoint-independent", when=EPOCH - 1000,
    )  # fmt: skip
    kept.write(kernel.state_dir, ["192.0.2.53"], [shown])
    assert "Full Cone" in look()["SIPX-S001"][1]
    assert [nat for *_, nat in look.world.asked] == [False]
    assert "Port Restricted Cone" in look("192.0.2.99")["SIPX-S001"][1], "others were asked"
    kept.write(kernel.state_dir, ["192.0.2.53"], [shown.model_copy(update={"when": EPOCH - 2000})])
    assert "Port Restricted Cone" in look()["SIPX-S001"][1], "that was too long ago"


def nobody(kernel):
    return {f.code: f.severity.value for f in findings(StunConfig(), kernel, World())}


def test_no_server_matters_where_its_answer_would_be_used(kernel):
    assert nobody(kernel) == {"SIPX-S002": "warning"}
    kernel.wan.public_address = ONE
    assert nobody(kernel) == {"SIPX-S002": "ok"}
    kernel.resolver.srv["a.example"] = "sip.a.example"
    kernel.resolver.hosts["sip.a.example"] = [TWO]
    kernel.public = (ONE,)
    assert nobody(kernel) == {"SIPX-S002": "ok", "SIPX-S009": "warning"}
    kernel.wan.public_address, kernel.wan.use_public_address = "auto", False
    assert nobody(kernel) == {"SIPX-S002": "ok"}


def test_behind_nat_with_the_public_address_switched_off(look, kernel):
    kernel.wan.use_public_address = False
    kernel.interfaces = [
        interface("federation", advertises=False),
        interface("named", advertises=True),
        interface("lan", role="lan", advertises=False),
    ]
    severity, text = look()["SIPX-S003"]
    assert severity == "warning"
    assert f"federation tells partners {INSIDE}, where they cannot reach it" in text
    assert "config set wan.use_public_address true" in look.remedies["SIPX-S003"]


def test_an_interface_that_is_to_show_its_own_address_is_not_complained_about(look, kernel):
    kernel.wan.use_public_address = False
    kernel.interfaces = [interface("own", advertises=False)]
    kernel.tables = {"own": SimpleNamespace(enabled=True, advertise=False)}
    assert "SIPX-S003" not in look()
    kernel.tables = {}
    kernel.interfaces = [interface("here", "127.0.0.1", advertises=False)]
    assert "SIPX-S003" not in look()


def test_the_configured_address_is_another_one(look, kernel):
    kernel.wan.public_address = TWO
    severity, text = look()["SIPX-S004"]
    assert severity == "warning"
    assert f"wan.public_address is {TWO}, and servers see {ONE}" in text
    kernel.wan.public_address = ONE
    assert "SIPX-S004" not in look()


def test_the_configured_name_leads_elsewhere_or_nowhere(look, kernel):
    kernel.wan.public_address = "proxy.example"
    assert "that name has no address" in look()["SIPX-S004"][1]
    kernel.resolver.hosts["proxy.example"] = [TWO]
    assert f"proxy.example ({TWO}), and servers see {ONE}" in look()["SIPX-S004"][1]
    kernel.resolver.hosts["proxy.example"] = [TWO, ONE]
    assert "SIPX-S004" not in look()


def test_no_server_answers(look, kernel):
    look.world.sees = [""]
    severity, text = look()["SIPX-S005"]
    assert severity == "failure"
    assert (
        "192.0.2.53: no answer in 39.5 s (Firewall blocking UDP, which says nothing of TCP)" in text
    )
    assert "partners are told the addresses of this machine" in text
    kept.write(kernel.state_dir, ["192.0.2.53"], [SourceShown(bind="*", family=4, public=TWO)])
    severity, text = look()["SIPX-S005"]
    assert severity == "warning"
    assert text.endswith(f"{TWO}, found before, is used")
    kernel.wan.public_address = ONE
    assert look()["SIPX-S005"][0] == "warning"


def test_a_server_without_a_second_address(look):
    world = look.world
    world.nat, world.word = (Mapping.UNKNOWN, Filtering.UNKNOWN), NatType.UNKNOWN
    world.why = "192.0.2.53 port 3478 has no second address"
    found = look()
    assert found["SIPX-S006"] == (
        "ok", f"the kind of the NAT is not known: {world.why}"
    )  # fmt: skip
    assert found["SIPX-S001"][0] == "ok"
    assert "detect_nat_type = false" in look.remedies["SIPX-S006"]


@pytest.mark.parametrize(("protocol", "severity"), [("mtls", "ok"), ("udp", "warning")])
def test_a_symmetric_nat_is_bad_for_datagrams(look, kernel, protocol, severity):
    look.world.nat = (Mapping.ADDRESS_DEPENDENT, Filtering.ADDRESS_DEPENDENT)
    look.world.word = NatType.SYMMETRIC_NAT
    kernel.interfaces = [interface(protocol=protocol)]
    assert look()["SIPX-S007"][0] == severity


@pytest.mark.parametrize(
    ("shown", "told"),
    [
        ("10.0.0.1:5061", True), ("100.64.3.4:5061", True), ("[fd00::1]:5061", True),
        (f"{ONE}:5061", False), ("proxy.example:5061", False), ("", False),
    ],
)  # fmt: skip
def test_a_private_address_that_is_advertised(look, kernel, shown, told):
    kernel.wan.public_address = ONE
    kernel.interfaces = [interface(advertised=shown)]
    assert ("SIPX-S008" in look()) is told


def test_the_own_address_that_is_advertised_and_private(look, kernel):
    kernel.interfaces = [interface("x", "10.0.0.7", advertises=False)]
    assert "interface x advertises its own address 10.0.0.7" in look()["SIPX-S008"][1]
    kernel.interfaces = [interface("x", "198.51.100.7", advertises=False)]
    assert "SIPX-S008" not in look()


def test_a_record_that_leads_elsewhere(look, kernel):
    kernel.resolver.srv["a.example"] = "sip.a.example"
    kernel.resolver.hosts["sip.a.example"] = [TWO]
    severity, text = look()["SIPX-S009"]
    assert severity == "warning"
    assert f"leads to {TWO} (sip.a.example), and the public address is {ONE}" in text
    assert look.remedies["SIPX-S009"].startswith(f"let sip.a.example lead to {ONE}")


def test_what_is_used_is_not_what_is_found_now(look, kernel):
    kept.write(kernel.state_dir, ["192.0.2.53"], [SourceShown(bind="*", family=4, public=TWO)])
    assert f"{TWO} is in use, and now {ONE} was found" in look()["SIPX-S010"][1]


def test_an_address_found_in_a_private_network_is_told_to_be_one(look):
    look.world.sees = ["10.0.0.1"]
    found = look()
    assert "but that is a private network" in found["SIPX-S001"][1]
    assert "federation is to be advertised as 10.0.0.1" in found["SIPX-S008"][1]


def test_where_from_is_told_for_single_addresses(look, kernel):
    kernel.interfaces = [interface("a", "10.0.0.5")]
    assert look()["SIPX-S001"][1].startswith("from 10.0.0.5: ")

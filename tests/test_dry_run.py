from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sipx.config import Document
from sipx.config.load import check
from sipx.dry_run import DryRun, RequestError
from sipx.registry import Registry
from sipx.testing.dns import dns_server

if TYPE_CHECKING:
    from collections.abc import Iterator

PLUGIN = """
from sipx import *
from sipx import hookimpl

class Lab:
    Config = Config

    def __init__(self, config, proxy):
        self.proxy = proxy

    @hookimpl
    def authenticate_request(self, request, flow):
        known = Sender(SenderKind.PARTNER, "lab", DomainSet(["lab.example"]), trusted=True, row=18)
        server = Sender(SenderKind.UC_SERVER, "server", DomainSet(["*"]), trusted=True, row=3)
        answers = {
            "127.0.0.2": Accept(known),
            "127.0.0.3": Challenge(407, ()),
            "127.0.0.4": Refuse(403, "banned"),
            "127.0.0.6": Accept(server),
        }
        if flow.address == "127.0.0.5":
            async def answer():
                return Accept(known)
            return Later(answer)
        if flow.address == "127.0.0.7":
            raise KeyError("a bug")
        return answers.get(flow.address)

    @hookimpl
    def determine_targets(self, request, sender):
        if b"nobody" in request.uri:
            return None
        if b"list" in request.uri:
            near = Target(hops=(NextHop("127.0.0.9", 5070, "udp"),), name="near")
            far = Target(hops=(NextHop("far.example", 5070, "tcp"),), name="far")
            return Targets(((near,), (far,)))
        return Targets(((Target(name="by DNS"),),))
"""
CONFIG = """
domains = ["example.com"]
plugins = ["udp", "lab"]
[interface.near]
bind = "127.0.0.1"
port = 5060
protocol = "udp"
[interface.off]
enabled = false
bind = "127.0.0.1"
port = 5061
protocol = "udp"
[trust]
networks = ["127.0.0.0/8"]
"""
ZONE = "far.example. 60 IN A 127.0.0.8"


def _config(server: str = "127.0.0.1:9", timeout: float = 0.05) -> str:
    """The configuration with a name server; by default one that is not there, and no patience."""
    return CONFIG + f'[dns]\nservers = ["{server}"]\ntimeout = {timeout}\n'


@pytest.fixture
def registry(install) -> Registry:
    install("sipx-lab", {"lab": "sipx_lab:Lab"}, sipx_lab=PLUGIN)
    return Registry()


@pytest.fixture
def dry(registry) -> Iterator[DryRun]:
    settings = check(Document.from_text(_config()), registry)
    with DryRun.of(settings, registry) as made:
        yield made


async def test_without_a_source_the_sender_is_one_of_ours(dry):
    told = await dry.explain("sip:127.0.0.9")
    assert (told.status, told.arrivals) == (0, ())
    [target] = told.targets
    [hop] = target.hops
    assert (hop.transport, hop.address, hop.port, hop.interface) == (
        "udp",
        "127.0.0.9",
        5060,
        "near",
    )


@pytest.mark.parametrize(
    ("address", "status", "why", "row"),
    [
        ("127.0.0.2", 0, "lab is accepted as partner", 18),
        ("127.0.0.3", 407, "asked to log on", 0),
        ("127.0.0.4", 403, "banned", 0),
        ("127.0.0.5", 0, "lab is accepted as partner", 18),
        ("127.0.0.7", 500, "refused", 0),
        ("127.0.0.99", 403, "the sender is not known here", 23),
    ],
)
async def test_the_sender_is_judged_as_a_request_would_be(dry, address, status, why, row):
    told = await dry.explain(
        "sip:a@example.com:5060;maddr=x", source=(address, 5060), from_uri="sip:b@lab.example"
    )
    [arrival] = told.arrivals
    assert (arrival.interface, arrival.status, arrival.why) == ("near", status, why)
    assert arrival.row == row


async def test_a_foreign_from_and_a_relay_attempt_are_refused(dry):
    source = ("127.0.0.2", 5060)
    foreign = await dry.explain("sip:a@example.com", source=source, from_uri="sip:b@other.example")
    assert (foreign.status, foreign.why) == (403, "lab may not use this From domain")
    assert foreign.arrivals[0].row == 18
    relay = await dry.explain("sip:a@other.example", source=source, from_uri="sip:b@lab.example")
    assert (relay.status, relay.why) == (403, "relaying denied")
    assert relay.arrivals[0].row == 18


async def test_a_method_that_is_not_for_the_outside_is_refused(dry):
    told = await dry.explain(
        "sip:a@example.com",
        method="REGISTER",
        source=("127.0.0.2", 5060),
        from_uri="sip:b@lab.example",
    )
    assert told.status == 405


async def test_options_to_the_proxy_itself_is_answered_by_it(dry):
    told = await dry.explain("sip:127.0.0.1:5060", method="OPTIONS", source=("127.0.0.99", 5060))
    assert told.status == 200


async def test_no_target_is_404_in_the_words_of_the_proxy(dry):
    ours = await dry.explain("sip:nobody@example.com")
    assert (ours.status, ours.why) == (404, "nobody here knows this user")
    other = await dry.explain("sip:nobody@other.example")
    assert (other.status, other.why) == (403, "federation off: no static route leads there")


async def test_sips_is_not_sent_without_tls(dry):
    told = await dry.explain("sips:list@example.com")
    assert told.targets[0].status == 416
    assert told.targets[0].hops[0].refused == "a sips URI needs TLS on every hop"


async def test_dns_answers_hops_and_a_missing_interface_are_told(registry):
    async with dns_server(ZONE) as dns:
        settings = check(Document.from_text(_config(dns.server, 5)), registry)
        with DryRun.of(settings, registry) as dry:
            told = await dry.explain("sip:list@example.com")
    assert told.status == 0
    near, far = told.targets
    assert (near.name, near.group, near.status) == ("near", 1, 0)
    assert (far.name, far.group, far.status) == ("far", 2, 503)
    assert far.hops[0].address == "127.0.0.8"
    assert "no interface for tcp" in far.hops[0].refused
    [answer] = [answer for answer in told.dns if answer.type == "A"]
    assert answer.name == "far.example"
    assert 0 < answer.ttl <= 60


async def test_a_name_server_that_fails_is_told_as_temporary(registry):
    async with dns_server(ZONE) as dns:
        dns.fail("gone.example")
        settings = check(Document.from_text(_config(dns.server, 5)), registry)
        with DryRun.of(settings, registry) as dry:
            told = await dry.explain("sip:a@gone.example")
    assert told.status == 504
    assert any(answer.temporary for answer in told.dns)


@pytest.mark.parametrize(("method", "uri"), [("MESS AGE", "sip:a@b.example"), ("MESSAGE", "sip:")])
async def test_what_is_no_request_is_refused(dry, method, uri):
    with pytest.raises(RequestError):
        await dry.explain(uri, method=method)


async def test_only_interfaces_that_are_switched_on_are_there(dry):
    assert [interface.name for interface in dry.interfaces] == ["near"]
    none = await dry.explain("sip:a@example.com", source=("2001:db8::1", 5060))
    assert (none.status, none.arrivals) == (403, ())
    assert dry.plugin("lab") is not None
    assert dry.plugin("tcp") is None


def test_plugins_see_their_state_and_nothing_is_left_behind(registry, tmp_path):
    state = tmp_path / "state"
    text = _config() + f'[service]\nstate_dir = "{state}"\n'
    settings = check(Document.from_text(text), registry)
    with DryRun.of(settings, registry) as made:
        assert made.plugin("lab").proxy.state_dir == state / "plugins" / "lab"
    assert not state.exists()
    assert isinstance(settings.path, Path)

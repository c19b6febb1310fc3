"""The service: when it runs, what it hands to the kernel, and what survives."""

from __future__ import annotations

import json
import logging
from types import SimpleNamespace

import pytest
import trio
from sipx_stun import kept
from sipx_stun.behaviour import Filtering, Mapping, NatType
from sipx_stun.config import StunConfig
from sipx_stun.detection import Detector, PublicAddressFound, Source, sources_of

from sipx import ResolveError

from .conftest import EPOCH, INSIDE, ONE, TWO, PublicAddress, World, interface, settings

ANYWHERE = Source("*", 4)


def made(kernel, world, *servers, **more):
    return Detector(settings(*servers, **more), kernel, find=world)


@pytest.fixture
async def serving(nursery):
    """Start the service of a detector."""

    async def serve(detector):
        await nursery.start(lambda task_status: detector.service(task_status=task_status))
        return detector

    return serve


# ---------------------------------------------------------------- from where


def binds(*interfaces, servers=("192.0.2.53",)):
    status = SimpleNamespace(interfaces=interfaces)
    config = SimpleNamespace(
        interface={
            "off": SimpleNamespace(enabled=False, advertise=True),
            "fixed": SimpleNamespace(enabled=True, advertise=PublicAddress("198.51.100.7")),
            "auto": SimpleNamespace(enabled=True, advertise=PublicAddress("auto", 5060)),
        }
    )
    return [tuple(source) for source in sources_of(status, config, settings(*servers).parsed)]


def test_servers_are_asked_from_the_addresses_of_interfaces_that_advertise():
    assert binds(
        interface("a", "10.0.0.5"),
        interface("b", "10.0.0.5"),
        interface("c", "2001:db8::1"),
        interface("d", "::"),
        interface("own", "10.0.0.6", advertises=False),
        interface("lan", "10.0.0.7", role="lan", advertises=False),
        interface("fixed", "10.0.0.10"),
        interface("auto", "10.0.0.11", role="lan"),
        interface("starting", "10.0.0.8", state="off", address=None, port=None),
        interface("off", "10.0.0.9", state="off"),
    ) == [("10.0.0.5", 4), ("2001:db8::1", 6), ("::", 6), ("10.0.0.11", 4), ("10.0.0.8", 4)]


def test_where_none_advertises_it_is_still_found_out_for_people():
    assert binds(interface("own", "10.0.0.6", advertises=False)) == [("*", 4)]
    assert binds() == [("*", 4)]


def test_from_loopback_only_servers_on_loopback_are_asked():
    here = interface("a", "127.0.0.2")
    assert binds(here) == []
    assert binds(here, servers=("192.0.2.53", "127.0.0.1:3478")) == [("127.0.0.2", 4)]


# ---------------------------------------------------------------- two runs


async def test_at_the_start_two_runs_then_the_kind_of_the_nat(kernel, serving, autojump_clock):
    world = World(ONE)
    detector = await serving(made(kernel, world))
    await trio.sleep(20)
    assert world.asked == [
        (0, 4, "192.0.2.53", False), (3, 4, "192.0.2.53", False), (3, 4, "192.0.2.53", True)
    ]  # fmt: skip
    assert kernel.noted == [{}, {"*": ONE}]
    assert kernel.events == [PublicAddressFound("*", "", ONE, "192.0.2.53")]
    [source] = detector.state().sources
    assert (source.public, source.candidate, source.local) == (ONE, "", INSIDE)
    assert (source.nat, source.mapping) == ("Port Restricted Cone", "endpoint-independent")
    assert source.filtering == "address-and-port-dependent"
    assert (source.since, source.when, source.error) == (EPOCH + 3, EPOCH + 12.5, "")
    assert detector.state().runs.answered == 2
    assert detector.state().changes == 0
    assert not kernel.troubles


async def test_the_address_is_in_use_before_the_kind_of_the_nat_is_known(
    kernel, serving, autojump_clock
):
    await serving(made(kernel, World(ONE)))
    await trio.sleep(4)
    assert kernel.noted[-1] == {"*": ONE}


async def test_the_kind_of_the_nat_is_not_asked_for_where_nobody_wants_it(
    kernel, serving, autojump_clock
):
    world = World(ONE)
    detector = await serving(made(kernel, world, detect_nat_type=False))
    await trio.sleep(20)
    assert not any(nat for *_, nat in world.asked)
    assert detector.state().sources[0].nat == ""


async def test_the_second_run_begins_with_another_server(kernel, serving, autojump_clock):
    world = World(ONE)
    await serving(made(kernel, world, "192.0.2.1", "192.0.2.2", "192.0.2.3"))
    await trio.sleep(4)
    assert [first for _, _, first, nat in world.asked if not nat] == ["192.0.2.1", "192.0.2.2"]


async def test_the_old_address_stays_until_two_runs_agree(kernel, serving, autojump_clock):
    world = World(ONE, ONE, TWO, ONE)
    detector = await serving(made(kernel, world))
    await trio.sleep(930)  # the third run and the fourth, which goes back
    assert kernel.noted == [{}, {"*": ONE}]
    assert len(kernel.events) == 1
    assert detector.state().sources[0].candidate == ""


async def test_another_address_is_shown_beside_the_old_one_until_it_is_confirmed(
    kernel, serving, autojump_clock
):
    world = World(ONE, ONE, TWO)
    detector = await serving(made(kernel, world, detect_nat_type=False))
    await trio.sleep(904)
    source = detector.state().sources[0]
    assert (source.public, source.candidate) == (ONE, TWO)
    await trio.sleep(3)
    source = detector.state().sources[0]
    assert (source.public, source.candidate, source.since) == (TWO, "", EPOCH + 906)
    assert kernel.events[-1] == PublicAddressFound("*", ONE, TWO, "192.0.2.53")
    assert detector.state().changes == 1
    assert kernel.noted[-1] == {"*": TWO}


async def test_addresses_that_change_with_every_run_are_told(kernel, serving, autojump_clock):
    third = "203.0.113.3"
    world = World(ONE, TWO, third, ONE, TWO, TWO)
    detector = await serving(made(kernel, world, detect_nat_type=False))
    await trio.sleep(20)
    assert "several lines to the world" in kernel.troubles["public address", "*"]
    assert kernel.noted == [{}]
    await trio.sleep(900)
    assert not kernel.troubles
    assert detector.addresses() == {"*": TWO}


async def test_each_source_by_itself(kernel, serving, autojump_clock):
    kernel.interfaces = [interface("a", "10.0.0.5"), interface("b", "::")]
    world = World(ONE)
    await serving(made(kernel, world))
    await trio.sleep(10)
    assert {where for _, where, *_ in world.asked} == {"10.0.0.5", 6}
    assert kernel.noted[-1] == {"10.0.0.5": ONE, "::": ONE}


# ---------------------------------------------------------------- when


async def test_again_after_the_interval(kernel, serving, autojump_clock):
    world = World(ONE)
    await serving(made(kernel, world, detect_nat_type=False, interval="1m"))
    await trio.sleep(130)
    assert [at for at, *_ in world.asked] == [0, 3, 63, 123]


async def test_again_when_the_machine_has_other_addresses(kernel, serving, autojump_clock):
    world = World(ONE)
    detector = await serving(made(kernel, world, detect_nat_type=False))
    await trio.sleep(10)
    detector.look_again()
    await trio.sleep(1)
    assert [at for at, *_ in world.asked] == [0, 3, 10]


async def test_a_change_during_a_run_is_looked_at_after_it(kernel, serving, autojump_clock):
    world = World(ONE)
    detector = await serving(made(kernel, world))
    await trio.sleep(5)
    detector.look_again()
    await trio.sleep(10)
    assert [at for at, _, _, nat in world.asked if not nat] == [0, 3, 12.5]


async def test_silence_keeps_the_old_address_is_told_and_asked_about_sooner(
    kernel, serving, autojump_clock
):
    world = World(ONE, ONE, "", "", ONE)
    detector = await serving(made(kernel, world, detect_nat_type=False))
    await trio.sleep(945)
    assert kernel.noted[-1] == {"*": ONE}
    assert kernel.troubles["public address", "*"] == (
        f"192.0.2.53: no answer in 39.5 s; {ONE} stays in use"
    )
    source = detector.state().sources[0]
    assert (source.public, source.nat) == (ONE, "Firewall blocking UDP")
    assert source.error == "192.0.2.53: no answer in 39.5 s"
    assert detector.state().runs.silent == 1
    await trio.sleep(200)
    assert [at for at, *_ in world.asked] == [0, 3, 903, 972.5, 1072]
    assert not kernel.troubles
    assert len(kernel.events) == 1


async def test_without_servers_nobody_is_asked(kernel, serving, autojump_clock):
    world = World(ONE)
    config = settings().model_copy(update={"servers": ()})
    detector = await serving(Detector(config, kernel, find=world))
    await trio.sleep(2000)
    assert world.asked == []
    assert kernel.noted == [{}]
    assert detector.state().sources == ()


async def test_who_wants_it_now_gets_a_run_that_begins_after_that(kernel, autojump_clock):
    world = World(ONE)
    detector = made(kernel, world, detect_nat_type=False)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(detector.look_now)
        await trio.sleep(1)
        nursery.start_soon(detector.look_now)
        nursery.start_soon(detector.look_now)
    assert [at for at, *_ in world.asked] == [0, 3, 3], "both share the second run"
    assert detector.addresses() == {"*": ONE}


# ---------------------------------------------------------------- what is kept


async def test_what_was_used_survives_a_restart(kernel, serving, autojump_clock):
    await serving(made(kernel, World(ONE)))
    await trio.sleep(20)
    kernel.noted.clear()
    later = await serving(made(kernel, World("")))
    assert kernel.noted == [{"*": ONE}]
    [source] = later.state().sources
    assert (source.public, source.nat) == (ONE, "Port Restricted Cone")
    assert source.since == EPOCH + 3
    await trio.sleep(50)
    assert later.addresses() == {"*": ONE}
    assert kernel.events == [PublicAddressFound("*", "", ONE, "192.0.2.53")]


async def test_the_addresses_so_far_survive_a_restart(kernel, serving, autojump_clock):
    await serving(made(kernel, World(ONE)))
    await trio.sleep(20)
    later = await serving(made(kernel, World(TWO)))
    await trio.sleep(4)
    first, second = later.state().history
    assert (first.public, first.bind, first.time) == (ONE, "*", EPOCH + 3)
    assert (second.public, second.server) == (TWO, "192.0.2.53")


async def test_a_reload_keeps_the_addresses_so_far(kernel, autojump_clock):
    old = made(kernel, World(ONE))
    await old.run()
    new = made(kernel, World(TWO))
    new.take_over(old)
    await new.run()
    assert [one.public for one in new.state().history] == [ONE, TWO]
    assert [one.public for one in old.state().history] == [ONE], "the reload may be undone"


async def test_after_a_restart_another_address_needs_two_runs_as_well(
    kernel, serving, autojump_clock
):
    await serving(made(kernel, World(ONE)))
    await trio.sleep(20)
    later = await serving(made(kernel, World(TWO)))
    await trio.sleep(1)
    assert (later.addresses(), later.state().sources[0].candidate) == ({"*": ONE}, TWO)
    await trio.sleep(3)
    assert later.addresses() == {"*": TWO}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "damaged"),
        ('{"version": 7}', "is of version 7, this sipx writes 1"),
        ('{"sources": [{"bind": "*", "family": 4, "public": "x\\u001b"}]}', "is no address"),
        ('{"sources": [{"bind": "*", "family": 4, "public": "255.255.255.255"}]}', "is no address"),
        ('{"history": [{"time": 1, "bind": "*", "public": "x"}]}', "is no address"),
        (" " * (kept.LARGEST + 1), "too long"),
    ],
)
async def test_a_file_that_is_damaged_is_told_and_written_anew(
    kernel, serving, autojump_clock, content, said, caplog
):
    (kernel.state_dir / kept.FILE).write_text(content)
    with caplog.at_level(logging.WARNING):
        await serving(made(kernel, World(ONE)))
    assert said in caplog.text
    await trio.sleep(20)
    written = json.loads((kernel.state_dir / kept.FILE).read_text())
    assert written["sources"][0]["public"] == ONE


async def test_a_directory_that_cannot_be_written_is_told(
    kernel, serving, autojump_clock, tmp_path
):
    kernel.state_dir = tmp_path / "gone"
    await serving(made(kernel, World(ONE)))
    await trio.sleep(20)
    assert "not be known after a restart" in kernel.troubles["file", kept.FILE]
    assert kernel.noted[-1] == {"*": ONE}


async def test_a_reload_goes_on_with_what_is_known(kernel, serving, autojump_clock):
    old = made(kernel, World(ONE))
    await old.run()
    new = made(kernel, World(""), "192.0.2.99")
    new.take_over(old)
    await serving(new)
    assert new.addresses() == {"*": ONE}
    assert (new.answered, new.changes) == (2, 0)


async def test_a_reload_that_is_undone_has_forgotten_nothing(kernel, serving, autojump_clock):
    old = made(kernel, World(ONE))
    await old.run()
    new = Detector(StunConfig(), kernel, find=World())
    new.take_over(old)
    await serving(new)
    assert (new.addresses(), old.addresses()) == ({}, {"*": ONE})


async def test_who_wants_it_now_does_not_outlive_the_service(kernel, nursery, autojump_clock):
    detector = made(kernel, World("", ONE))
    scope, done = trio.CancelScope(), []

    async def serve(*, task_status):
        with scope:
            await detector.service(task_status=task_status)

    async def want():
        done.append(await detector.look_now())

    await nursery.start(serve)
    await trio.sleep(1)
    nursery.start_soon(want)
    await trio.sleep(1)
    scope.cancel()
    await trio.sleep(60)
    assert done == [False]
    assert kernel.noted == [{}], "what it finds is nobody's any more"


async def test_an_interface_that_is_gone_is_forgotten(kernel, autojump_clock):
    kernel.interfaces = [interface("a", "10.0.0.5"), interface("b", "10.0.0.6")]
    detector = made(kernel, World(ONE))
    await detector.run()
    kernel.interfaces.pop()
    await detector.run()
    assert kernel.noted[-1] == {"10.0.0.5": ONE}


async def test_after_a_reload_with_other_interfaces_it_is_looked_at_once(
    kernel, serving, autojump_clock
):
    world = World(ONE)
    detector = await serving(made(kernel, world, detect_nat_type=False))
    await trio.sleep(10)
    detector.reloaded()
    await trio.sleep(10)
    assert len(world.asked) == 2, "nothing has changed"
    kernel.interfaces = [interface("a", "10.0.0.5")]
    detector.reloaded()
    await trio.sleep(10)
    assert [(at, where) for at, where, *_ in world.asked[2:]] == [
        (20, "10.0.0.5"),
        (23, "10.0.0.5"),
    ]
    assert kernel.noted[-1] == {"10.0.0.5": ONE}


async def test_what_was_asked_from_anywhere_holds_for_the_address_it_was_asked_from(
    kernel, serving, autojump_clock
):
    kernel.interfaces = [interface("a", INSIDE, advertises=False)]
    detector = await serving(made(kernel, World(ONE)))
    await trio.sleep(20)
    assert kernel.noted[-1] == {"*": ONE}
    kernel.interfaces = [interface("a", INSIDE)]
    detector.reloaded()
    await trio.sleep(0.1)
    assert kernel.noted[-1] == {INSIDE: ONE}
    assert len(kernel.events) == 1
    later = await serving(made(kernel, World("")))
    assert later.addresses() == {INSIDE: ONE}


@pytest.mark.parametrize("seconds", [1, 4])
async def test_a_reload_during_a_run_takes_what_it_finds(kernel, serving, autojump_clock, seconds):
    kernel.interfaces = [interface("a", INSIDE, advertises=False)]
    detector = await serving(made(kernel, World(ONE)))
    await trio.sleep(seconds)  # between the two runs, and while the kind is measured
    kernel.interfaces = [interface("a", INSIDE)]
    detector.reloaded()
    await trio.sleep(4.5 - seconds)
    assert kernel.noted[-1] == {INSIDE: ONE}
    await trio.sleep(30)
    assert kernel.noted[-1] == {INSIDE: ONE}
    assert [one.bind for one in detector.state().sources] == [INSIDE]
    assert not kernel.troubles


async def test_the_kind_of_the_nat_is_in_the_log_once(kernel, serving, autojump_clock, caplog):
    with caplog.at_level(logging.INFO):
        await serving(made(kernel, World(ONE), interval="1m"))
        await trio.sleep(200)
    told = [record.getMessage() for record in caplog.records]
    assert told == [
        f"the public address of * is {ONE}, says 192.0.2.53",
        "the kind of NAT of * is Port Restricted Cone",
    ]


# ---------------------------------------------------------------- the records of our domains


async def test_a_record_that_leads_elsewhere_is_told_until_it_is_right(
    kernel, serving, autojump_clock
):
    kernel.resolver.srv["a.example"] = "sip.a.example"
    kernel.resolver.hosts["sip.a.example"] = ["198.51.100.9"]
    detector = await serving(made(kernel, World(ONE)))
    await trio.sleep(20)
    assert kernel.troubles["SRV record", "a.example"].startswith(
        f"the SRV record of a.example leads to 198.51.100.9 (sip.a.example), and the public "
        f"address is {ONE}; let sip.a.example lead to {ONE}"
    )
    assert len(detector.state().records) == 1
    kernel.resolver.srv["a.example"] = ResolveError("timeout", "no answer")
    await detector.run()
    assert len(detector.state().records) == 1, "a name server that fails proves nothing"
    kernel.resolver.srv["a.example"] = "sip.a.example"
    kernel.resolver.hosts["sip.a.example"] = ["198.51.100.9", ONE]
    await detector.run()
    assert not kernel.troubles
    assert detector.state().records == ()


async def test_an_address_that_is_written_down_is_compared_without_any_server(
    kernel, serving, autojump_clock
):
    kernel.resolver.srv["a.example"] = "sip.a.example"
    kernel.resolver.hosts["sip.a.example"] = ["198.51.100.9"]
    kernel.wan.public_address, kernel.public = ONE, (ONE,)
    world = World(TWO)
    config = settings().model_copy(update={"servers": ()})
    detector = await serving(Detector(config, kernel, find=world))
    await trio.sleep(1)
    assert "leads to 198.51.100.9" in kernel.troubles["SRV record", "a.example"]
    assert ONE in kernel.troubles["SRV record", "a.example"]
    kernel.resolver.hosts["sip.a.example"] = [ONE]
    detector.reloaded()
    await trio.sleep(1)
    assert not kernel.troubles
    kernel.resolver.hosts["sip.a.example"] = ["198.51.100.9"]
    await trio.sleep(config.interval)
    assert kernel.troubles
    kernel.wan.use_public_address = False
    detector.reloaded()
    await trio.sleep(1)
    assert not kernel.troubles
    assert world.asked == []


async def test_a_domain_without_a_record_is_not_told_of(kernel, serving, autojump_clock):
    detector = await serving(made(kernel, World(ONE)))
    await trio.sleep(20)
    assert not kernel.troubles
    assert detector.state().records == ()


async def test_a_record_for_the_configured_address_is_right(kernel, serving, autojump_clock):
    kernel.public = ("198.51.100.9",)
    kernel.resolver.srv["a.example"] = "sip.a.example"
    kernel.resolver.hosts["sip.a.example"] = ["198.51.100.9"]
    await serving(made(kernel, World(ONE)))
    await trio.sleep(20)
    assert not kernel.troubles


async def test_the_kind_of_the_nat_may_stay_unknown(kernel, serving, autojump_clock):
    world = World(ONE)
    world.nat, world.word = (Mapping.UNKNOWN, Filtering.UNKNOWN), NatType.UNKNOWN
    world.why = "192.0.2.53 has no second address"
    detector = await serving(made(kernel, world))
    await trio.sleep(20)
    source = detector.state().sources[0]
    assert (source.public, source.nat, source.error) == (ONE, "Unknown", world.why)

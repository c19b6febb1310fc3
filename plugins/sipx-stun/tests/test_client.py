"""The client against NATs of every kind, and against servers and networks that are not right.

All times are virtual, and the network is `world`.
"""

from __future__ import annotations

import errno

import pytest
import trio
from sipx_stun.behaviour import Filtering, Mapping, NatType, nat_type
from sipx_stun.client import HEAD_START, Detection, Server, detect, server_of
from sipx_stun.codec import Attr, Kind, address_value, decode, encode, mapped_address
from sipx_stun.testing import Reply

from sipx import ResolveError

from .world import INSIDE, OTHER, PUBLIC, SERVER, Nat, World, certain, server_at

SECOND = "198.51.100.10"
THIRD = "198.51.100.20"
OPEN = (Mapping.NO_NAT, Filtering.ENDPOINT_INDEPENDENT)
USUAL = (Mapping.ENDPOINT_INDEPENDENT, Filtering.ADDRESS_AND_PORT_DEPENDENT)


class Names:
    """A resolver that knows these names, SRV records, and failures."""

    def __init__(self, **known) -> None:
        self.known = {name.replace("_dot_", "."): found for name, found in known.items()}
        self.services: dict[str, object] = {}
        self.asked: list[str] = []

    async def addresses(self, host):
        await trio.lowlevel.checkpoint()
        self.asked.append(host)
        found = self.known.get(host, [host] if host[0].isdigit() or ":" in host else None)
        if found is None:
            found = ResolveError("nxdomain", f"{host}: no such name")
        if isinstance(found, ResolveError):
            raise found
        return tuple(found)

    async def srv(self, name):
        await trio.lowlevel.checkpoint()
        self.asked.append(name)
        found = self.services.get(name, ResolveError("nxdomain", f"{name}: no such name"))
        if isinstance(found, ResolveError):
            raise found
        return found


class Record:
    def __init__(self, target, port) -> None:
        self.target = target
        self.port = port


async def found_by(world: World, *servers: str, names: Names | None = None, **more) -> Detection:
    named = [server_of(each) for each in servers or (SERVER,)]
    return await detect(named, rng=certain(), resolver=names or Names(), opened=world.open, **more)


def no_socket_is_left(world: World) -> bool:
    return all(sock.closed for sock in world.sockets)


# ---------------------------------------------------------------- every kind


@pytest.mark.parametrize(
    ("mapping", "filtering"),
    [
        (mapping, filtering)
        for mapping in Mapping
        for filtering in Filtering
        if mapping is not Mapping.UNKNOWN and filtering is not Filtering.UNKNOWN
    ],
)
async def test_every_kind_of_nat_is_told(autojump_clock, mapping, filtering):
    world = World(Nat(mapping, filtering), [server_at()])
    found = await found_by(world)
    assert (found.mapping, found.filtering, found.error) == (mapping, filtering, "")
    assert found.nat is nat_type(mapping, filtering, answered=True)
    assert found.local[0] == INSIDE
    assert found.public[0] == (INSIDE if mapping is Mapping.NO_NAT else PUBLIC)
    assert (found.server, found.server_address) == (SERVER, (SERVER, 3478))
    assert no_socket_is_left(world)
    # Nobody waits where nothing is filtered, and ten seconds where silence has to be waited for.
    waited = trio.current_time()
    assert waited < 0.1 if filtering is Filtering.ENDPOINT_INDEPENDENT else 9.5 <= waited < 9.6


async def test_nat_1_mapping_comes_first_and_filtering_has_fresh_sockets(autojump_clock):
    world = World(Nat(*USUAL), [server_at()])
    await found_by(world)
    address, mapping, *filtering = world.sockets
    assert world.spoken_to(address) == {(SERVER, 3478)}
    assert world.spoken_to(mapping) == {(SERVER, 3478), (OTHER, 3478)}
    assert len(filtering) == 2
    for sock in filtering:
        assert world.spoken_to(sock) == {(SERVER, 3478)}
        assert sock.sent[0][0] >= mapping.sent[-1][0]
    assert len({sock.local for sock in world.sockets}) == 4
    # RFC 5780 §5: the two are not to send in step.
    one, two = ({at for at, _ in sock.sent} for sock in filtering)
    assert not one & two


async def test_filtering_is_named_right_whatever_the_mapping_tests_left_in_the_nat(autojump_clock):
    # A NAT that forgets nothing: from the socket of the mapping tests everything would get in.
    world = World(Nat(*USUAL), [server_at()])
    for _ in range(3):
        assert (await found_by(world)).nat is NatType.PORT_RESTRICTED_CONE


async def test_who_lets_in_everybody_is_told_at_once_whatever_the_other_test_waits_for(
    autojump_clock,
):
    world = World(Nat(*OPEN), [server_at()])

    def lost(source, to):
        return source == (SERVER, 3479) or (source[0] == OTHER and trio.current_time() < 0.2)

    world.lost = lost
    assert (await found_by(world)).nat is NatType.OPEN_INTERNET
    assert trio.current_time() == pytest.approx(0.3)


async def test_the_kind_need_not_be_asked_for(autojump_clock):
    server = server_at()
    world = World(Nat(*USUAL), [server])
    found = await found_by(world, nat=False)
    assert (found.public[0], found.nat, found.mapping) == (PUBLIC, NatType.UNKNOWN, Mapping.UNKNOWN)
    assert len(server.requests) == 1


async def test_it_works_over_ipv6(autojump_clock):
    server = server_at("2001:db8:1::10", "2001:db8:1::11")
    world = World(Nat(*OPEN), [server])
    found = await found_by(world, "[2001:db8:1::10]:3478", bind="2001:db8::5", family=6)
    assert found.nat is NatType.OPEN_INTERNET
    assert found.public == found.local
    assert found.public[0] == "2001:db8::5"
    assert (found.bind, found.family, found.server) == ("2001:db8::5", 6, "[2001:db8:1::10]:3478")


async def test_lost_datagrams_are_sent_again(autojump_clock):
    rng = certain()
    for mapping, filtering in [OPEN, (Mapping.ADDRESS_DEPENDENT, Filtering.ADDRESS_DEPENDENT)]:
        world = World(Nat(mapping, filtering), [server_at()])
        world.lost = lambda source, to: rng.random() < 0.3
        found = await found_by(world)
        assert (found.mapping, found.filtering) == (mapping, filtering)


# ---------------------------------------------------------------- no answer


async def test_without_an_answer_udp_is_blocked_after_the_time_of_rfc_8489(autojump_clock):
    world = World(Nat(*USUAL))
    found = await found_by(world)
    assert found.public is None
    assert found.nat is NatType.FIREWALL_BLOCKING_UDP
    assert found.error == "203.0.113.10 port 3478: no answer"
    assert found.temporary
    [sock] = world.sockets
    assert [at for at, _ in sock.sent] == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert trio.current_time() == 39.5
    assert no_socket_is_left(world)


async def test_the_timeout_is_that_of_one_server(autojump_clock):
    found = await found_by(World(Nat(*USUAL)), SERVER, SECOND, timeout=5.0)
    assert found.error == "203.0.113.10 port 3478: no answer; 198.51.100.10 port 3478: no answer"
    assert trio.current_time() == HEAD_START + 5.0


async def test_a_firewall_is_told_to_those_too_who_did_not_ask_for_the_kind(autojump_clock):
    found = await found_by(World(Nat(*USUAL)), nat=False)
    assert found.nat is NatType.FIREWALL_BLOCKING_UDP


async def test_icmp_of_the_server_is_no_firewall(autojump_clock):
    world = World(Nat(*USUAL), refused={SERVER: SERVER})
    found = await found_by(world)
    assert found.nat is NatType.UNKNOWN
    assert found.error == ("203.0.113.10 port 3478: connection refused (ICMP from 203.0.113.10)")
    assert trio.current_time() == 3.5  # the fourth request of RFC 8489


async def test_icmp_of_somebody_on_the_way_is_a_firewall(autojump_clock):
    world = World(Nat(*USUAL), refused={SERVER: "10.99.1.1"})
    found = await found_by(world)
    assert found.nat is NatType.FIREWALL_BLOCKING_UDP
    assert "ICMP from 10.99.1.1" in found.error


async def test_icmp_before_the_answer_is_survived(autojump_clock):
    world = World(Nat(*OPEN), [server_at()], refused={SERVER: SERVER})

    async def starts_later() -> None:
        await trio.sleep(1)
        del world.refused[SERVER]

    async with trio.open_nursery() as nursery:
        nursery.start_soon(starts_later)
        found = await found_by(world)
    assert found.nat is NatType.OPEN_INTERNET
    assert trio.current_time() == pytest.approx(1.5, abs=0.1)


async def test_a_network_that_is_down_is_told_at_once(autojump_clock):
    world = World(Nat(*OPEN), broken={SERVER: OSError(errno.ENETUNREACH, "Network is unreachable")})
    found = await found_by(world)
    assert found.error == "203.0.113.10 port 3478: network is unreachable"
    assert (found.nat, found.temporary) == (NatType.UNKNOWN, True)
    assert trio.current_time() == 0


async def test_an_address_that_this_machine_has_not_is_told_at_once(autojump_clock):
    broken = {"192.0.2.7": OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")}
    found = await found_by(World(Nat(*OPEN), broken=broken), bind="192.0.2.7")
    assert found.error == (
        "203.0.113.10 port 3478: cannot assign requested address, from 192.0.2.7"
    )
    assert (found.nat, found.temporary) == (NatType.UNKNOWN, False)


async def test_without_servers_there_is_nothing_to_ask():
    found = await detect([], rng=certain(), resolver=Names())
    assert (found.error, found.temporary) == ("no STUN server is named", False)


# ---------------------------------------------------------------- several servers


async def test_the_first_server_alone_is_asked_where_it_answers(autojump_clock):
    first, second = server_at(), server_at(SECOND, THIRD)
    found = await found_by(World(Nat(*OPEN), [first, second]), SERVER, SECOND)
    assert (found.server, second.requests) == (SERVER, [])


async def test_the_next_is_asked_too_when_one_is_silent_and_the_first_answer_wins(autojump_clock):
    world = World(Nat(*OPEN), [server_at(SECOND, THIRD)])
    found = await found_by(world, SERVER, SECOND, nat=False)
    assert (found.server, found.server_address) == (SECOND, (SECOND, 3478))
    assert trio.current_time() == HEAD_START
    assert no_socket_is_left(world)


async def test_a_late_answer_of_the_first_wins_over_a_silent_second(autojump_clock):
    server = server_at()
    world = World(Nat(*OPEN), [server])
    world.lost = lambda source, to: trio.current_time() < 3
    found = await found_by(world, SERVER, SECOND, nat=False)
    assert (found.server, trio.current_time()) == (SERVER, 3.5)


async def test_a_server_that_fails_does_not_keep_the_next_waiting(autojump_clock):
    names = Names(down_dot_example=ResolveError("servfail", "down.example: SERVFAIL"))
    world = World(Nat(*OPEN), [server_at()])
    found = await found_by(world, "down.example:3478", SERVER, names=names, nat=False)
    assert (found.server, trio.current_time()) == (SERVER, 0)


async def test_who_has_no_second_address_tells_ours_and_the_next_one_the_kind(autojump_clock):
    world = World(Nat(*USUAL), [server_at(SECOND, None), server_at()])
    found = await found_by(world, SECOND, SERVER)
    assert (found.server, found.public[0]) == (SECOND, PUBLIC)
    assert (found.nat, found.error) == (NatType.PORT_RESTRICTED_CONE, "")


async def test_nat_3_without_any_second_address_the_kind_is_unknown_and_ours_is_told(
    autojump_clock,
):
    servers = [server_at(SERVER, None), server_at(SECOND, None)]
    found = await found_by(World(Nat(*USUAL), servers), SERVER, SECOND)
    assert (found.public[0], found.nat) == (PUBLIC, NatType.UNKNOWN)
    # For the address, and for the mapping; the other one for its second address only.
    assert [len(server.requests) for server in servers] == [2, 1]
    assert found.error.startswith("203.0.113.10 port 3478 has no second address")


async def test_a_silent_server_does_not_keep_the_kind_unknown(autojump_clock):
    world = World(Nat(*OPEN), [server_at(SERVER, None), server_at(THIRD, "198.51.100.21")])
    found = await found_by(world, SERVER, SECOND, THIRD)
    assert found.nat is NatType.OPEN_INTERNET


# ---------------------------------------------------------------- names


async def test_a_name_without_a_port_is_looked_up_by_its_srv_records(autojump_clock):
    names = Names(one_dot_example=["192.0.2.1", "2001:db8::7"], two_dot_example=[SERVER])
    names.services["_stun._udp.stun.example"] = [
        Record("gone.example", 1),
        Record("one.example", 1),
        Record("two.example", 3478),
    ]
    found = await found_by(World(Nat(*OPEN), [server_at()]), "stun.example", names=names)
    assert (found.server, found.server_address) == ("stun.example", (SERVER, 3478))
    # "one.example" has been silent for two seconds before.
    assert trio.current_time() == pytest.approx(HEAD_START, abs=0.1)


async def test_a_name_of_many_addresses_does_not_make_us_ask_all_of_them(autojump_clock):
    names = Names(stun_dot_example=[f"192.0.2.{n}" for n in range(1, 100)])
    world = World(Nat(*OPEN))
    found = await found_by(world, "stun.example:3478", names=names)
    assert len(world.sockets) == found.error.count("no answer") == 4


async def test_without_srv_records_it_is_the_name_at_port_3478(autojump_clock):
    names = Names(stun_dot_example=[SERVER])
    found = await found_by(World(Nat(*OPEN), [server_at()]), "stun.example", names=names)
    assert found.server_address == (SERVER, 3478)
    assert names.asked[:2] == ["_stun._udp.stun.example", "stun.example"]


async def test_with_a_port_no_srv_record_is_asked_for(autojump_clock):
    names = Names(stun_dot_example=[SERVER])
    await found_by(World(Nat(*OPEN), [server_at()]), "stun.example:3478", names=names)
    assert set(names.asked) == {"stun.example"}


@pytest.mark.parametrize(
    ("family", "known", "temporary", "says"),
    [
        (4, None, False, "stun.example: stun.example: no such name"),
        (4, ["2001:db8::1"], False, "stun.example: it has no IPv4 address"),
        (6, ["192.0.2.1"], False, "stun.example: it has no IPv6 address"),
        (4, ResolveError("timeout", "nobody answers"), True, "stun.example: nobody answers"),
    ],
)
async def test_a_name_that_leads_nowhere_says_so(family, known, temporary, says):
    names = Names() if known is None else Names(stun_dot_example=known)
    found = await found_by(World(Nat(*OPEN)), "stun.example", names=names, family=family)
    assert (found.error, found.temporary, found.nat) == (says, temporary, NatType.UNKNOWN)


async def test_a_service_that_is_withdrawn_is_not_asked(autojump_clock):
    names = Names(stun_dot_example=[SERVER])
    names.services["_stun._udp.stun.example"] = ResolveError("refused", "not available there")
    found = await found_by(World(Nat(*OPEN), [server_at()]), "stun.example", names=names)
    assert (found.public, found.temporary) == (None, False)


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("stun.example.net", Server("stun.example.net")),
        ("stun.example.net:3479", Server("stun.example.net", 3479)),
        ("stun:stun.example.net", Server("stun.example.net")),
        ("192.0.2.1", Server("192.0.2.1")),
        ("192.0.2.1:1", Server("192.0.2.1", 1)),
        ("2001:db8::1", Server("2001:db8::1")),
        ("2001:DB8:0::1", Server("2001:db8::1")),
        ("[2001:db8::1]", Server("2001:db8::1")),
        ("[2001:db8::1]:65535", Server("2001:db8::1", 65535)),
    ],
)
def test_a_server_is_written_like_this(text, server):
    assert server_of(text) == server
    assert server_of(str(server)) == server


@pytest.mark.parametrize(
    "text",
    ["", ":3478", "a\tb", "a\nb", "*", "a:1\n", "a:",
     "a:0", "a:65536", "a:x", "a:-1", "a b", "a:1:2", "[a]:1", "[192.0.2.1]:1",
     "[::1", "::1]:1", "a/b", "a@b", "stun:", "a:٣", "fe80::1%eth0"],
)  # fmt: skip
def test_what_is_no_server_is_refused(text):
    with pytest.raises(ValueError, match=r"port|HOST"):
        server_of(text)


# ---------------------------------------------------------------- servers that lie or err


def telling(*attributes):
    """A server that tells these instead of what is right."""

    def twist(reply: Reply):
        transaction = decode(reply.data).transaction
        made = [each(transaction) if callable(each) else each for each in attributes]
        yield reply._replace(data=encode(Kind.SUCCESS, transaction, made))

    return twist


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "224.0.0.1", "2001:db8::1"])
async def test_a_server_cannot_tell_us_an_address_that_cannot_be(autojump_clock, address):
    server = server_at()
    server.twist = telling(lambda transaction: mapped_address(transaction, (address, 5)))
    found = await found_by(World(Nat(*OPEN), [server]))
    assert (found.public, found.nat) == (None, NatType.UNKNOWN)
    assert "the answer tells an address that cannot be" in found.error


async def test_a_lying_server_does_not_lead_us_to_others(autojump_clock):
    server = server_at()
    victim = server_at("10.99.1.77", "10.99.1.78")
    server.twist = telling(
        lambda transaction: mapped_address(transaction, (PUBLIC, 5)),
        (Attr.OTHER_ADDRESS, address_value(("10.99.1.77", 3479))),
    )
    world = World(Nat(*OPEN), [server, victim])
    found = await found_by(world)
    assert (found.public, found.nat) == ((PUBLIC, 5), NatType.UNKNOWN)
    assert found.error.endswith("that cannot be: 10.99.1.77 is a private address")
    assert victim.requests == []


async def test_nat_2_answers_of_others_and_with_other_ids_are_passed_over(autojump_clock):
    server = server_at()

    def twist(reply: Reply):
        wrong = mapped_address(decode(reply.data).transaction, ("192.0.2.66", 6))
        forged = encode(Kind.SUCCESS, decode(reply.data).transaction, [wrong])
        yield reply._replace(data=forged, via=("192.0.2.99", 3478))
        yield reply._replace(data=forged, via=(SERVER, 9))
        yield reply._replace(data=forged[:8] + bytes(12) + forged[20:])
        yield reply._replace(data=forged[:-1])
        yield reply._replace(data=b"\0" * 600)
        yield reply

    server.twist = twist
    found = await found_by(World(Nat(*OPEN), [server]))
    assert (found.nat, found.public) == (NatType.OPEN_INTERNET, found.local)


async def test_a_server_that_does_not_change_its_address_is_no_proof_of_a_filter(autojump_clock):
    server = server_at()
    server.twist = lambda reply: [reply._replace(via=server.address)]
    found = await found_by(World(Nat(*OPEN), [server]))
    assert (found.mapping, found.filtering) == (Mapping.NO_NAT, Filtering.UNKNOWN)
    assert found.nat is NatType.UNKNOWN
    assert found.error == (
        "asked to change its address: the answer came from 203.0.113.10 port 3478"
    )


async def test_a_server_that_refuses_to_change_is_no_proof_of_a_filter(autojump_clock):
    server = server_at()

    def twist(reply: Reply):
        if reply.via == server.address:
            yield reply
        else:
            refused = [(Attr.ERROR_CODE, b"\0\0\4\x14Unknown Attribute")]
            data = encode(Kind.ERROR, decode(reply.data).transaction, refused)
            yield Reply(data, server.address, reply.to)

    server.twist = twist
    world = World(Nat(Mapping.NO_NAT, Filtering.ADDRESS_AND_PORT_DEPENDENT), [server])
    found = await found_by(world)
    assert found.filtering is Filtering.UNKNOWN
    assert "420 Unknown Attribute" in found.error or "the answer came from" in found.error


async def test_a_server_that_stops_answering_is_no_proof_of_anything(autojump_clock):
    server = server_at()
    server.twist = lambda reply: [reply] if len(server.requests) <= 2 else []
    found = await found_by(World(Nat(*USUAL), [server]))
    assert (found.public[0], found.nat) == (PUBLIC, NatType.UNKNOWN)
    assert "no answer" in found.error


async def test_a_server_whose_second_address_is_dead_is_no_proof_of_a_symmetric_nat(
    autojump_clock,
):
    world = World(Nat(*USUAL), [server_at()])
    world.lost = lambda source, to: to[0] == OTHER
    found = await found_by(world)
    assert (found.mapping, found.nat) == (Mapping.UNKNOWN, NatType.UNKNOWN)
    assert found.error == "its second address, 203.0.113.11 port 3478: no answer"


async def test_a_flood_of_other_datagrams_does_not_outlast_the_deadline(autojump_clock):
    server = server_at()
    server.twist = lambda reply: [reply._replace(data=bytes(20))] * 500
    found = await found_by(World(Nat(*OPEN), [server]), timeout=5.0)
    assert found.public is None
    assert trio.current_time() == 5.0


# ---------------------------------------------------------------- progress


async def test_progress_tells_each_step_in_a_line(autojump_clock):
    told: list[str] = []
    world = World(Nat(*USUAL), [server_at()])
    names = Names(stun_dot_example=[SERVER])
    await found_by(world, "stun.example", names=names, progress=told.append)
    assert told == [
        "asking stun.example (203.0.113.10 port 3478)",
        "the public address is 203.0.113.1, says stun.example",
        "looking at the mapping",
        "mapping: endpoint-independent",
        "looking at the filtering, which takes ten seconds where there is any",
        "filtering: address-and-port-dependent",
    ]


async def test_it_can_be_cancelled_at_any_time(autojump_clock):
    for seconds in (0, 0.01, 1, 5, 9.4):
        world = World(Nat(*USUAL), [server_at()])
        with trio.move_on_after(seconds) as scope:
            await found_by(world)
        assert scope.cancelled_caught
        assert no_socket_is_left(world)

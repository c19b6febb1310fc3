"""What every location store has to do, as one call for the test suite of its author.

from sipx.testing import check_location_store

async def test_the_contract(tmp_path):
    await check_location_store(lambda: MyStore(tmp_path))

Nothing here waits for time, but a store may work in threads: use no clock that jumps.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Final

import trio

from sipx.locations import Binding, BindingChange

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from sipx.locations import LocationStore

    Make = Callable[[], LocationStore]
    Stored = dict[tuple[bytes, bytes], tuple[object, ...]]

MANY: Final = 3000
"""Bindings of a large write; a store gives them back in pieces."""
_FIELDS: Final = tuple(field.name for field in fields(Binding) if field.name != "flow")


async def check_location_store(make: Make) -> None:
    """Check a store. Raises AssertionError with everything that is wrong.

    ``make`` gives a new object for the same place each time, which is empty at first. It is
    opened, used and closed before the next one is made.
    """
    wrong = [said async for said in violations(make)]
    assert not wrong, "the location store breaks its contract:\n- " + "\n- ".join(wrong)


async def violations(make: Make) -> AsyncIterator[str]:
    """Everything that is wrong with a store, in sentences."""
    if not make().name:
        yield "it has no name; the status shows it"
    await make().close()  # one that was never opened
    if await _stored(make):
        yield "a new place is not empty"
        return
    for check in (_keeps, _replaces, _removes, _obeys_order, _takes_many, _takes_several_at_once):
        async for said in check(make):
            yield said
        await _clear(make)


async def _keeps(make: Make) -> AsyncIterator[str]:
    """Every field, and bytes of every kind, outlive the object."""
    octets = bytes(range(256))
    full = Binding(
        aor=b"al%b@home.example" % octets,
        contact=b"sip:" + octets,
        owner="uc-Zürich@10.0.0.11",
        call_id=octets,
        cseq=2**31 - 1,
        expires=1_800_000_000.123456,
        since=1_799_999_999.5,
        q=250,
        path=(b"<sip:p1;lr>;x=y", b'"a, b" <sip:p2;lr>'),
        instance=b'"<urn:uuid:1>"',
        reg_id=2**31 - 1,
        interface="lan",
        transport="tcp",
        address="2001:db8::1",
        port=65535,
        bulk=True,
        user_agent=octets,
    )
    plain = _binding(b"bob", b"sip:bob@10.0.0.1")
    anothers = replace(plain, owner="paris")
    written = (full, plain, anothers)
    async for said in _after(make, written, "a binding is not loaded as it was written"):
        yield said


async def _replaces(make: Make) -> AsyncIterator[str]:
    """A place, which is an address-of-record and a key, holds one binding."""
    first = _binding(b"alice", b"sip:alice@10.0.0.1", cseq=1)
    other = _binding(b"alice", b"sip:alice@10.0.0.2")
    flow = _binding(b"alice", b"sip:alice@10.0.0.3", instance=b'"<i>"', reg_id=1)
    moved = _binding(b"alice", b"sip:alice@10.0.0.4", instance=b'"<i>"', reg_id=1)
    again = _binding(b"alice", b"sip:alice@10.0.0.1", cseq=2)
    await _write(make, _put(first, other, flow))
    async for said in _after(
        make, (again, moved), "a binding is not replaced by that of the same key", (other,)
    ):
        yield said


async def _removes(make: Make) -> AsyncIterator[str]:
    """None removes, and what is not there can be removed."""
    stays = _binding(b"alice", b"sip:alice@10.0.0.1")
    goes = _binding(b"alice", b"sip:alice@10.0.0.2")
    await _write(make, _put(stays, goes))
    await _write(
        make,
        [
            BindingChange(b"alice@home.example", goes.key, None),
            BindingChange(b"alice@home.example", b"sip:nobody", None),
            BindingChange(b"nobody@home.example", stays.key, None),
        ],
    )
    if await _stored(make) != _as_stored((stays,)):
        yield "a binding that was removed is loaded, or another is not"


async def _obeys_order(make: Make) -> AsyncIterator[str]:
    """Of two changes of one place in one write the later counts."""
    alice = _binding(b"alice", b"sip:alice@10.0.0.1")
    bob = _binding(b"bob", b"sip:bob@10.0.0.1")
    gone = [BindingChange(each.aor, each.key, None) for each in (alice, bob)]
    await _write(make, [gone[0], *_put(alice, bob), gone[1]])
    if await _stored(make) != _as_stored((alice,)):
        yield "the changes of one write are not made in their order"


async def _takes_many(make: Make) -> AsyncIterator[str]:
    """A large write is one write."""
    many = [_binding(b"user%d" % n, b"sip:u@10.0.0.1", cseq=n) for n in range(MANY)]
    async for said in _after(make, many, f"of {MANY} bindings in one write some are missing"):
        yield said
    await _write(make, [BindingChange(each.aor, each.key, None) for each in many])
    if await _stored(make):
        yield f"{MANY} bindings were removed in one write, and some are still there"


async def _takes_several_at_once(make: Make) -> AsyncIterator[str]:
    """Writes that meet do not harm each other."""
    bindings = [_binding(b"user%d" % n, b"sip:u@10.0.0.1") for n in range(20)]
    store = make()
    await store.open()
    try:
        async with trio.open_nursery() as nursery:
            for each in bindings:
                nursery.start_soon(store.write, _put(each))
        await store.write([])
    finally:
        await store.close()
    if await _stored(make) != _as_stored(bindings):
        yield "of writes at one time some are missing"


# ---------------------------------------------------------------- below


async def _after(
    make: Make, written: Iterable[Binding], wrong: str, there: Iterable[Binding] = ()
) -> AsyncIterator[str]:
    await _write(make, _put(*written))
    if await _stored(make) != _as_stored((*there, *written)):
        yield wrong


async def _write(make: Make, changes: list[BindingChange]) -> None:
    store = make()
    await store.open()
    try:
        await store.write(changes)
    finally:
        await store.close()


async def _stored(make: Make) -> Stored:
    store = make()
    await store.open()
    try:
        return _as_stored([each async for piece in store.load() for each in piece])
    finally:
        await store.close()


async def _clear(make: Make) -> None:
    await _write(make, [BindingChange(*place, None) for place in await _stored(make)])


def _put(*bindings: Binding) -> list[BindingChange]:
    return [BindingChange(each.aor, each.key, each) for each in bindings]


def _as_stored(bindings: Iterable[Binding]) -> Stored:
    return {
        (each.aor, each.key): tuple(getattr(each, name) for name in _FIELDS) for each in bindings
    }


def _binding(
    user: bytes, contact: bytes, *, cseq: int = 1, instance: bytes = b"", reg_id: int = 0
) -> Binding:
    return Binding(
        aor=user + b"@home.example",
        contact=contact,
        owner="berlin",
        call_id=b"a@berlin",
        cseq=cseq,
        expires=1_800_003_600.0,
        since=1_800_000_000.0,
        instance=instance,
        reg_id=reg_id,
    )

"""The contract of location stores finds what breaks it."""

from __future__ import annotations

import pytest

from sipx import BindingChange
from sipx.testing import check_location_store


class Kept:
    """A store that does everything right, in a dict."""

    name = "kept"

    def __init__(self, place):
        self.place = place

    async def open(self):
        pass

    async def load(self):
        for binding in list(self.place.values()):
            yield [binding]

    async def write(self, changes):
        for change in changes:
            self.put(change)

    def put(self, change):
        if change.binding is None:
            self.place.pop((change.aor, change.key), None)
        else:
            self.place[change.aor, change.key] = change.binding

    async def close(self):
        pass


class Nameless(Kept):
    name = ""


class Forgetful(Kept):
    """Forgets when it is closed."""

    async def close(self):
        self.place.clear()


class Keyless(Kept):
    """One binding for each address-of-record."""

    def put(self, change):
        if change.binding is None:
            self.place.pop((change.aor, b""), None)
        else:
            self.place[change.aor, b""] = change.binding


class Ownerless(Kept):
    """Takes the contact for the key."""

    def put(self, change):
        key = change.key.partition(b"\n")[2]
        super().put(BindingChange(change.aor, key, change.binding))


class Hoarding(Kept):
    """Removes nothing."""

    def put(self, change):
        if change.binding is not None:
            super().put(change)


class Hasty(Kept):
    """Removes before it puts."""

    async def write(self, changes):
        await super().write(sorted(changes, key=lambda change: change.binding is not None))


class Small(Kept):
    """Has room for so many."""

    async def write(self, changes):
        await super().write(changes[:1000])


async def test_a_store_that_does_everything_right_passes():
    place = {}
    await check_location_store(lambda: Kept(place))
    assert place == {}


@pytest.mark.parametrize(
    ("store", "said"),
    [
        (Nameless, "it has no name"),
        (Forgetful, "a binding is not loaded as it was written"),
        (Keyless, "a binding is not replaced by that of the same key"),
        (Ownerless, "a binding is not loaded as it was written"),
        (Hoarding, "a binding that was removed is loaded"),
        (Hasty, "not made in their order"),
        (Small, "some are missing"),
    ],
)
async def test_a_store_that_breaks_it_is_told_how(store, said):
    place = {}
    with pytest.raises(AssertionError, match=said):
        await check_location_store(lambda: store(place))


async def test_a_place_that_is_not_empty_is_not_touched():
    place = {}
    await check_location_store(lambda: Kept(place))
    place[b"alice@home.example", b"x"] = binding = _some_binding()
    with pytest.raises(AssertionError, match="not empty"):
        await check_location_store(lambda: Kept(place))
    assert place == {(b"alice@home.example", b"x"): binding}


def _some_binding():
    from sipx import Binding

    return Binding(b"alice@home.example", b"x", "berlin", b"c", 1, 2.0, 1.0)

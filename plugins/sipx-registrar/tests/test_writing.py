"""Writes are shared, answers wait for them, and a store that fails harms nobody's look-ups."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
from sipx_registrar.events import Expired, Registered, Unregistered
from sipx_registrar.writing import TROUBLE

from sipx import Later, StartError

from .desk import CONTACT, EPOCH, Desk, a_binding, an_account, why

ALICE, BOB = "sip:alice@home.example", "sip:bob@home.example"
AOR = b"alice@home.example"


class FakeStore:
    """A store whose writes wait for ``gate`` and fail with ``error``."""

    name = "fake"

    def __init__(self):
        self.held = {}
        self.writes = []
        self.gate = trio.Event()
        self.gate.set()
        self.error = None
        self.opened = self.closed = 0

    async def open(self):
        self.opened += 1
        if self.error is not None:
            raise self.error

    async def load(self):
        for binding in tuple(self.held.values()):
            yield [binding]

    async def write(self, changes):
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        self.writes.append([(change.aor, change.binding is not None) for change in changes])
        for change in changes:
            self.held.pop((change.aor, change.key), None)
            if change.binding is not None:
                self.held[change.aor, change.key] = change.binding

    async def close(self):
        self.closed += 1


@asynccontextmanager
async def keeping(desk):
    """The service of a registrar runs."""
    async with trio.open_nursery() as nursery:
        await nursery.start(desk.plugin.writing.registrations)
        yield nursery
        nursery.cancel_scope.cancel()


@pytest.fixture
def store():
    return FakeStore()


@pytest.fixture
def desk(store):
    desk = Desk()
    desk.proxy.store = store
    desk.plugin.writing.store = None
    return desk


class Answers:
    """REGISTERs that are under way."""

    def __init__(self, nursery):
        self._nursery = nursery
        self.all = []

    def ask(self, later):
        assert isinstance(later, Later)
        number = len(self.all)
        self.all.append(None)

        async def wait():
            self.all[number] = await later.fn()

        self._nursery.start_soon(wait)

    @property
    def statuses(self):
        return [None if response is None else response.status for response in self.all]


async def test_the_answer_comes_after_the_write(desk, store, autojump_clock):
    async with keeping(desk) as nursery:
        answers = Answers(nursery)
        store.gate = trio.Event()
        answers.ask(desk.register(ALICE, CONTACT))
        await trio.testing.wait_all_tasks_blocked()
        assert (answers.statuses, desk.contacts(), desk.proxy.events) == ([None], [], [])
        store.gate.set()
        await trio.testing.wait_all_tasks_blocked()
        assert (answers.statuses, len(desk.contacts())) == ([200], 1)
        assert [type(event) for event in desk.proxy.events] == [Registered]


async def test_a_question_does_not_wait(desk, store, autojump_clock):
    async with keeping(desk):
        assert desk.register(ALICE).status == 200


async def test_a_refusal_that_needs_no_table_does_not_wait(desk, store, autojump_clock):
    async with keeping(desk):
        assert desk.register("sip:carol@home.example", CONTACT).status == 403


async def test_what_comes_during_a_write_shares_the_next(desk, store, autojump_clock):
    async with keeping(desk) as nursery:
        answers = Answers(nursery)
        store.gate = trio.Event()
        answers.ask(desk.register(ALICE, CONTACT))
        await trio.testing.wait_all_tasks_blocked()
        for number in range(20):
            answers.ask(desk.register(f"sip:+49{number}@home.example", CONTACT))
        await trio.testing.wait_all_tasks_blocked()
        store.gate.set()
        await trio.testing.wait_all_tasks_blocked()
        assert answers.statuses == [200] * 21
        assert [len(write) for write in store.writes] == [1, 20]


async def test_registers_of_one_user_keep_their_order(desk, store, autojump_clock):
    async with keeping(desk) as nursery:
        answers = Answers(nursery)
        store.gate = trio.Event()
        answers.ask(desk.register(BOB, CONTACT))
        await trio.testing.wait_all_tasks_blocked()
        answers.ask(desk.register(ALICE, CONTACT, cseq=5))
        answers.ask(desk.register(ALICE, CONTACT, expires=100, cseq=6))
        answers.ask(desk.register(ALICE, CONTACT, expires=200, cseq=6))
        answers.ask(desk.register(ALICE, "<sip:two@10.0.0.2>", cseq=7))
        answers.ask(desk.register(ALICE, CONTACT, expires=0, cseq=8))
        await trio.testing.wait_all_tasks_blocked()
        store.gate.set()
        await trio.testing.wait_all_tasks_blocked()
        assert answers.statuses == [200, 200, 200, 500, 200, 200]
        assert [len(r.get_all(b"Contact")) for r in answers.all] == [1, 1, 1, 0, 2, 1]
        assert store.writes[1] == [(AOR, True)]
        assert desk.contacts() == [b"sip:two@10.0.0.2"]


async def test_limits_count_what_is_under_way(desk, store, autojump_clock):
    small = desk.add(an_account("small", users=None, max_users=2))
    async with keeping(desk) as nursery:
        answers = Answers(nursery)
        store.gate = trio.Event()
        for user in "abc":
            answers.ask(desk.register(f"sip:{user}@home.example", CONTACT, by=small))
        await trio.testing.wait_all_tasks_blocked()
        store.gate.set()
        await trio.testing.wait_all_tasks_blocked()
        assert sorted(answers.statuses) == [200, 200, 403]


async def test_a_store_that_fails_refuses_and_undoes_nothing(desk, store, autojump_clock):
    async with keeping(desk) as nursery:
        answers = Answers(nursery)
        answers.ask(desk.register(ALICE, CONTACT))
        await trio.testing.wait_all_tasks_blocked()
        store.error = OSError("the disk is full")
        answers.ask(desk.register(BOB, CONTACT))
        answers.ask(desk.register(ALICE, CONTACT, expires=0))
        await trio.testing.wait_all_tasks_blocked()
        assert answers.statuses == [200, 500, 500]
        assert "cannot be stored" in why(answers.all[1])
        assert (len(desk.contacts()), desk.contacts(b"bob@home.example")) == (1, [])
        assert "the disk is full" in desk.proxy.troubles[TROUBLE]
        assert [type(event) for event in desk.proxy.events] == [Registered]
        store.error = None
        answers.ask(desk.register(BOB, CONTACT))
        await trio.testing.wait_all_tasks_blocked()
        assert (answers.statuses[-1], desk.proxy.troubles[TROUBLE]) == (200, "")


async def test_a_store_that_does_not_answer_is_not_waited_for(desk, store, autojump_clock):
    async with keeping(desk) as nursery:
        answers = Answers(nursery)
        store.gate = trio.Event()
        answers.ask(desk.register(ALICE, CONTACT))
        answers.ask(desk.register(BOB, CONTACT))
        await trio.testing.wait_all_tasks_blocked()
        answers.ask(desk.register("sip:+4930@home.example", CONTACT))
        await trio.sleep(4.5)
        assert answers.statuses == [503, 503, 503]
        assert answers.all[0].get(b"Retry-After") == b"30"
        store.gate.set()
        await trio.testing.wait_all_tasks_blocked()
        # What was being written is, and is told of; what waited behind it was given up.
        assert desk.contacts(b"+4930@home.example") == []
        users = [event.user for event in desk.proxy.events]
        assert users == ["alice@home.example", "bob@home.example"]
        assert len(desk.bindings) == 2


async def test_a_store_with_a_bug_leaves_nobody_waiting(desk, store, autojump_clock):
    statuses = []

    async def ask():
        with trio.CancelScope(shield=True):
            statuses.append((await desk.register(ALICE, CONTACT).fn()).status)

    async def keep_and_ask():
        async with keeping(desk) as nursery:
            store.error = ZeroDivisionError()
            nursery.start_soon(ask)
            await trio.sleep(1)

    with pytest.RaisesGroup(ZeroDivisionError, flatten_subgroups=True):
        await keep_and_ask()
    assert (statuses, desk.contacts()) == ([503], [])


async def test_before_the_store_is_open_registers_are_put_off(desk, autojump_clock):
    response = await desk.register(ALICE, CONTACT).fn()
    assert (response.status, response.get(b"Retry-After")) == (503, b"30")


async def test_a_store_that_cannot_be_opened_is_a_trouble(desk, store, autojump_clock):
    store.error = PermissionError(13, "Permission denied")
    async with trio.open_nursery() as nursery:
        with pytest.raises(StartError, match=r"cannot be kept \(fake\): Permission denied"):
            await nursery.start(desk.plugin.writing.registrations)
    assert "Permission denied" in desk.proxy.troubles[TROUBLE]
    assert store.closed == 1


async def test_what_is_stored_is_there_before_anything_listens(desk, store, autojump_clock):
    for each in (a_binding(), a_binding(b"gone@home.example", expires=EPOCH - 1)):
        store.held[each.aor, each.key] = each
    async with keeping(desk):
        assert desk.contacts() == [b"sip:alice@10.0.0.11:5060"]
        await trio.sleep(1.5)
        assert list(store.held) == [(AOR, b"berlin\nsip:alice@10.0.0.11:5060")]
    assert (store.opened, store.closed, desk.proxy.troubles[TROUBLE]) == (1, 1, None)


async def test_what_expires_is_told_of_and_forgotten(desk, store, autojump_clock):
    async with keeping(desk) as nursery:
        answers = Answers(nursery)
        answers.ask(desk.register(ALICE, CONTACT, expires=60))
        await trio.testing.wait_all_tasks_blocked()
        desk.proxy.time = 60.0
        await trio.sleep(1.5)
        contact = "sip:alice@10.0.0.11:5060"
        assert desk.proxy.events[1:] == [Expired("alice@home.example", "berlin", contact)]
        assert store.held == {}


async def test_what_comes_back_just_then_is_not_forgotten(desk, store, autojump_clock):
    async with keeping(desk) as nursery:
        answers = Answers(nursery)
        answers.ask(desk.register(ALICE, CONTACT, expires=60))
        await trio.testing.wait_all_tasks_blocked()
        desk.proxy.time = 60.0
        answers.ask(desk.register(ALICE, CONTACT, expires=60))
        await trio.sleep(1.5)
        assert answers.statuses == [200, 200]
        assert len(store.held) == 1


async def test_what_could_not_be_forgotten_is_later(desk, store, autojump_clock):
    async with keeping(desk) as nursery:
        answers = Answers(nursery)
        answers.ask(desk.register(ALICE, CONTACT, expires=60))
        await trio.testing.wait_all_tasks_blocked()
        store.error = OSError("the disk is full")
        desk.proxy.time = 60.0
        await trio.sleep(2.5)
        assert len(store.held) == 1
        store.error = None
        await trio.sleep(1.5)
        assert store.held == {}


async def test_an_operator_takes_a_binding_away(desk, store, autojump_clock):
    async with keeping(desk) as nursery:
        answers = Answers(nursery)
        answers.ask(desk.register(ALICE, CONTACT, "<sip:two@10.0.0.2>"))
        await trio.testing.wait_all_tasks_blocked()
        first, _ = desk.bindings.of(AOR)
        assert await desk.plugin.writing.remove([first]) is None
        assert desk.contacts() == [b"sip:two@10.0.0.2"]
        assert len(store.held) == 1
        gone = Unregistered("alice@home.example", "berlin", "sip:alice@10.0.0.11:5060")
        assert desk.proxy.events[-1] == gone
        store.error = OSError("no")
        refuse = await desk.plugin.writing.remove(desk.bindings.of(AOR))
        assert refuse.status == 500


# ---------------------------------------------------------------- reloads


def reloaded(desk, **config):
    """What a reload makes of a desk, before the kernel takes it up."""
    new = Desk(desk.proxy, **config)
    new.plugin.writing.store = None
    new.cseq = desk.cseq
    new.plugin.take_over(desk.plugin)
    return new


async def test_a_reload_keeps_bindings_and_what_waits(desk, store, autojump_clock):
    async with keeping(desk) as nursery:
        answers = Answers(nursery)
        answers.ask(desk.register(ALICE, CONTACT))
        await trio.testing.wait_all_tasks_blocked()
    new = reloaded(desk)
    async with trio.open_nursery() as nursery:
        answers = Answers(nursery)
        # The old one is asked until the reload is through, and its service has ended.
        answers.ask(desk.register(BOB, CONTACT))
        await trio.testing.wait_all_tasks_blocked()
        assert answers.statuses == [None]
        async with keeping(new):
            await trio.testing.wait_all_tasks_blocked()
            assert answers.statuses == [200]
            assert (len(new.bindings), desk.flow().account_until) == (2, 3600)
            assert len(store.writes) == 2


async def test_another_store_gets_all_there_is(desk, store, autojump_clock):
    async with keeping(desk) as nursery:
        answers = Answers(nursery)
        answers.ask(desk.register(ALICE, CONTACT))
        await trio.testing.wait_all_tasks_blocked()
        other = FakeStore()
        other.name = "other"
        stale = a_binding(b"stale@home.example")
        other.held[stale.aor, stale.key] = stale
        desk.proxy.store = other
        desk.plugin.reloaded()
        await trio.testing.wait_all_tasks_blocked()
        assert [aor for aor, _ in other.held] == [AOR]
        assert (store.closed, other.opened) == (1, 1)
        answers.ask(desk.register(BOB, CONTACT))
        await trio.testing.wait_all_tasks_blocked()
        assert (len(other.held), len(store.held)) == (2, 1)


async def test_from_a_store_to_memory_and_back(desk, store, autojump_clock):
    async with keeping(desk) as nursery:
        answers = Answers(nursery)
        answers.ask(desk.register(ALICE, CONTACT))
        await trio.testing.wait_all_tasks_blocked()
        desk.proxy.store = None
        desk.plugin.reloaded()
        await trio.testing.wait_all_tasks_blocked()
        assert desk.register(BOB, CONTACT).status == 200
        assert len(store.held) == 1
        desk.proxy.store = store
        desk.plugin.reloaded()
        await trio.testing.wait_all_tasks_blocked()
        assert len(store.held) == 2


async def test_an_undone_reload_goes_on_where_it_was(desk, store, autojump_clock):
    desk.proxy.store = desk.plugin.store = store
    async with keeping(desk) as nursery:
        answers = Answers(nursery)
        answers.ask(desk.register(ALICE, CONTACT))
        await trio.testing.wait_all_tasks_blocked()
    new = reloaded(desk)
    async with keeping(new):
        # The proxy still names the store of the old one.
        assert new.plugin.writing.store is new.plugin.store
        new.plugin.writing.now(new.plugin.register.read(*asked(new, BOB)))
    async with keeping(desk):
        assert len(desk.bindings) == 2
        assert len(store.held) == 2


def asked(desk, to):
    from .desk import a_register

    return a_register(to, CONTACT), desk.berlin, desk.flow()

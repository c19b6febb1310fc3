"""Timer queues: what is due fires once, in order, and nothing is ever early."""

from hypothesis import given
from hypothesis import strategies as st

from sipx.sip.timers import TICK, Timers, TimerSettings


class Diary:
    """Notes when it was called."""

    def __init__(self):
        self.entries = []

    def due(self, event, now):
        self.entries.append((event, now))


def test_the_default_lengths_are_those_of_table_4():
    settings = TimerSettings()
    assert (settings.t1, settings.t2, settings.t4) == (0.5, 4, 5)
    assert settings.timeout == 32
    assert settings.late_trying == 3.5
    assert settings.c > 180
    assert settings.d >= 32
    assert settings.trying == 0.2


def test_a_timer_fires_once_when_its_time_has_come():
    timers, diary = Timers(100), Diary()
    timers.start(0.5, diary, 7)
    timers.tick(100.49)
    assert not diary.entries
    timers.tick(100.5)
    timers.tick(101)
    assert diary.entries == [(7, 100.5)]
    assert timers.pending() == 0


def test_timers_of_one_length_fire_in_the_order_of_their_start():
    timers, diary = Timers(), Diary()
    for event in range(5):
        timers.now = event / 100
        timers.start(1, diary, event)
    assert timers.pending() == 5
    timers.tick(1.02)
    assert [event for event, _ in diary.entries] == [0, 1, 2]
    timers.tick(9)
    assert [event for event, _ in diary.entries] == [0, 1, 2, 3, 4]


def test_a_timer_may_start_another_one():
    timers = Timers()

    class Chain(Diary):
        def due(self, event, now):
            super().due(event, now)
            if event:
                timers.start(1, self, event - 1)

    chain = Chain()
    timers.start(1, chain, 2)
    for now in (1, 2, 3, 4):
        timers.tick(now)
    assert chain.entries == [(2, 1), (1, 2), (0, 3)]


def test_a_late_tick_fires_what_was_due_but_not_what_begins_now():
    timers = Timers()

    class Again(Diary):
        def due(self, event, now):
            super().due(event, now)
            timers.start(1, self, event)

    again = Again()
    timers.start(1, again, 0)
    timers.tick(10)
    assert len(again.entries) == 1
    timers.tick(11)
    assert len(again.entries) == 2


def test_a_key_is_forgotten_after_its_time_and_soon_after():
    timers, table = Timers(), {b"a": b"", b"other": b""}
    timers.forget_later(32, b"a", table)
    timers.tick(32)
    assert b"a" in table
    timers.tick(32.5)
    assert table == {b"other": b""}


def test_two_tables_are_kept_apart():
    timers, one, two = Timers(), {b"a": b""}, {b"a": b""}
    timers.forget_later(1, b"a", one)
    timers.tick(2)
    assert (one, two) == ({}, {b"a": b""})


def test_who_has_left_the_table_is_not_asked():
    """What has ended is not kept alive by its timeout, and an answer alone has no timer."""
    timers, diary = Timers(), Diary()
    table = {b"lasts": diary, b"ends": Diary(), b"answered": Diary()}
    gone = table[b"ends"]
    for key in table:
        timers.ask_later(32, key, table, 6)
    assert timers.pending() == 3
    del table[b"ends"]
    table[b"answered"] = b"SIP/2.0 200 OK"
    assert timers.pending() == 1
    timers.tick(31.9)
    assert diary.entries == []
    timers.tick(32)
    timers.tick(64)
    assert diary.entries == [(6, 32)]
    assert gone.entries == []
    assert timers.pending() == 0


@given(st.lists(st.tuples(st.sampled_from([0, 0, 0.1]), st.booleans(), st.booleans()), max_size=40))
def test_questions_of_one_batch_share_an_entry_and_keep_their_tables_and_events(starts):
    timers, tables, due, asked = Timers(), ({}, {}), {}, []

    class Who:
        def __init__(self, name):
            self.name = name

        def due(self, event, now):
            assert due[self.name] == (event, now)
            asked.append(self.name)

    for number, (gap, second, event) in enumerate(starts):
        timers.now += gap
        key = b"%d" % number
        tables[second][key] = Who(number)
        due[number] = (int(event), timers.now + 32)
        timers.ask_later(32, key, tables[second], int(event))
    for when in sorted({when for _, when in due.values()}):
        timers.tick(when)
    assert asked == list(range(len(starts)))


@given(st.lists(st.floats(0, 0.5), max_size=30), st.sampled_from([5.0, 32.0]))
def test_no_key_is_forgotten_before_its_time_or_much_later(gaps, delay):
    timers, table, due = Timers(), {}, {}
    for number, gap in enumerate(gaps):
        timers.tick(timers.now + gap)
        key = b"%d" % number
        table[key] = b""
        timers.forget_later(delay, key, table)
        due[key] = timers.now + delay
    while table:
        timers.tick(timers.now + TICK)
        for key, when in list(due.items()):
            if key in table:
                assert timers.now < when + 0.5
            else:
                assert timers.now >= when, "forgotten too early"
                del due[key]


@given(st.lists(st.tuples(st.floats(0, 0.3), st.sampled_from([0.2, 0.5, 1.0])), max_size=40))
def test_every_timer_fires_once_and_none_is_early(starts):
    timers, fired, due = Timers(), [], []

    class Who:
        def due(self, event, now):
            assert now >= due[event]
            fired.append(event)

    for number, (gap, delay) in enumerate(starts):
        timers.tick(timers.now + gap)
        due.append(timers.now + delay)
        timers.start(delay, Who(), number)
    timers.tick(timers.now + 2)
    assert sorted(fired) == list(range(len(starts)))

"""Links that are lost: when it is tried again, where it goes on, and what is said to be missing."""

from __future__ import annotations

from contextlib import aclosing

import click
import pytest
import trio
from sipx_monitor.terminal.monitor_watching import Linked, LinkWords, Lost, Watching
from sipx_monitor.traffic.models import Batch, MessageList, RecordingState

from .conftest import summary

KEPT = MessageList(messages=(summary(7),), first=1, last=7, matched=1, complete=True)
STATE = {
    "why": "always", "kept": 0, "bytes": 0, "limit_messages": 1, "limit_bytes": 1, "first": 1,
    "last": 0, "bodies": "sdp", "watchers": 0, "lost": 0, "captures": (),
}  # fmt: skip


def failed(code, text="the service ended the connection"):
    error = click.ClickException(text)
    error.exit_code = code
    return error


def recording(answers, wanted=True):
    answers.say("monitor.state", RecordingState.model_validate({**STATE, "recording": wanted}))


async def hear(watching, take):
    async with aclosing(watching.told("x")) as everything:
        async for one in everything:
            take(one)


@pytest.fixture
async def told(answers, nursery):
    """What is told of a sipx that has one message."""
    answers.say("monitor.messages", KEPT)
    recording(answers)
    heard = []
    nursery.start_soon(hear, Watching(answers, 10), heard.append)
    await trio.testing.wait_all_tasks_blocked()
    assert heard == [KEPT]
    heard.clear()
    return heard


def follows(answers):
    return [params.since for name, params in answers.asked if name == "monitor.follow"]


async def test_it_goes_on_behind_the_last_batch(answers, told, autojump_clock):
    batch = Batch(batch=(), seq=9, dropped=0, gap=False)
    answers.tell(batch)
    answers.tell(failed(4))
    await trio.sleep(5)
    assert told == [
        batch,
        Lost("the service ended the connection", 0.5),
        Linked(anew=False, unrecorded=False),
    ]
    assert told[-1].missing == ""
    assert follows(answers) == [7, 9]


async def test_it_waits_longer_and_longer_but_never_for_long(answers, told, autojump_clock):
    answers.say("monitor.state", failed(4, "nobody listens"))
    answers.tell(failed(4))
    await trio.sleep(60)
    assert [one.wait for one in told] == [0.5, 1, 2, 4, 8, 10, 10, 10, 10, 10]
    assert told[-1].why == "nobody listens"
    recording(answers)
    await trio.sleep(10)
    assert isinstance(told[-1], Linked)


async def test_of_another_process_everything_is_new(answers, told, autojump_clock):
    answers.number = "2"
    recording(answers, wanted=False)
    answers.tell(failed(4))
    await trio.sleep(1)
    assert told[-1] == Linked(anew=True, unrecorded=True)
    assert told[-1].missing.endswith("and nothing was recorded until now")
    assert follows(answers) == [7, 0]


async def test_what_nobody_recorded_is_missing(answers, told, autojump_clock):
    recording(answers, wanted=False)
    answers.tell(failed(4))
    await trio.sleep(1)
    assert told[-1].missing == "nothing was recorded while the link was lost"


async def test_a_plugin_that_is_not_there_yet_may_come(answers, told, autojump_clock):
    answers.say("monitor.state", failed(1, "the running sipx does not have the plugin monitor"))
    answers.tell(failed(4))
    await trio.sleep(2)
    assert "does not have the plugin" in told[-1].why


@pytest.mark.parametrize("code", [1, 5])
async def test_what_sipx_refuses_ends_it(answers, autojump_clock, code):
    answers.say("monitor.messages", KEPT)
    recording(answers)
    answers.tell(failed(4))
    answers.tell(failed(code, "refused"))
    with pytest.raises(click.ClickException, match="refused"):
        await hear(Watching(answers, 10), [].append)


async def test_a_token_that_is_worth_nothing_any_more_ends_it(answers, autojump_clock):
    answers.say("monitor.messages", KEPT)
    answers.say("monitor.state", failed(5, "the token has ended"))
    answers.tell(failed(4))
    with pytest.raises(click.ClickException, match="the token has ended"):
        await hear(Watching(answers, 10), [].append)


async def test_where_nobody_answers_at_first_it_ends(answers):
    answers.say("monitor.messages", failed(4))
    with pytest.raises(click.ClickException):
        await hear(Watching(answers, 10), [].append)


async def test_nothing_of_what_is_kept_where_no_lines_are_wanted(answers):
    answers.say("monitor.messages", KEPT)
    async with aclosing(Watching(answers, 0).told("")) as everything:
        assert (await anext(everything)).messages == ()
    assert KEPT.messages


def test_words_about_the_link_are_said_once():
    said = []
    words = LinkWords(said.append)
    for wait in (0.5, 1, 2):
        words.told(Lost("nobody listens", wait))
    words.told(Linked(anew=True, unrecorded=False))
    words.told(Lost("nobody listens", 0.5))
    assert said == [
        "nobody listens; trying again, Ctrl-C ends it",
        "sipx is there again; sipx was started anew: the numbers begin again",
        "nobody listens; trying again, Ctrl-C ends it",
    ]

"""What runs now, as one object."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import pytest
import trio
from pydantic import BaseModel

from sipx.interfaces import Status
from sipx.plugin import hookimpl
from sipx.reasons import Drop, Refusal
from sipx.status import ProxyStatus, status_of
from sipx.supervision import Services, ServiceState
from sipx.testing import Authority
from sipx.testing.proxy import EPOCH


class Item(BaseModel):
    """What a plugin shows."""

    name: str
    size: int


class Showing:
    """A plugin with a part of the status."""

    def __init__(self, shown):
        self.shown = shown

    @hookimpl
    def status_sections(self):
        """What the test wrote down; an exception is raised."""
        if isinstance(self.shown, Exception):
            raise self.shown
        return self.shown


async def test_a_running_proxy_is_healthy_and_shows_what_it_is(scene, autojump_clock):
    stage = await scene()
    status = status_of(stage.kernel)
    assert status.healthy
    assert status.problems == ()
    assert status.service.pid == os.getpid()
    assert status.service.config == str(stage.kernel.settings.path)
    assert status.service.domains == ("home.example",)
    interface = next(i for i in status.interfaces if i.name == "udp")
    assert (interface.state, interface.address, interface.port) == ("listening", "127.0.0.1", 5060)
    assert {p.name: p.state for p in status.plugins} == dict.fromkeys(
        ("udp", "tcp", "testing-peers"), "running"
    )


async def test_it_survives_json(scene, autojump_clock):
    stage = await scene()
    stage.plug("showing", Showing({"items": [Item(name="a", size=1)]}))
    status = status_of(stage.kernel)
    assert ProxyStatus.model_validate_json(status.model_dump_json()) == status


async def test_messages_are_counted_for_the_interface_beyond_the_life_of_a_flow(
    scene, autojump_clock
):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    home.ask("MESSAGE", "sip:bob@away.example")
    request = await away.next("MESSAGE")
    running = status_of(stage.kernel).transactions
    assert (running.servers, running.clients, running.limit) == (1, 1, 200_000)
    away.answer(request, 200)
    await home.next(200)

    def udp():
        status = status_of(stage.kernel)
        one = next(i for i in status.interfaces if i.name == "udp")
        return one.flows, one.messages_in, one.messages_out

    assert udp() == (2, 2, 2)
    for flow in stage.kernel.flows:
        stage.kernel.edge.closed(flow, "over")
    assert udp() == (0, 2, 2)
    status = status_of(stage.kernel)
    assert (status.flows.open, status.flows.opened, status.flows.closed) == (0, 2, 2)
    assert [(a.status, a.count) for a in status.answers] == [(200, 1)]


async def test_refusals_are_shown_by_reason(scene, autojump_clock):
    stage = await scene()
    stranger = stage.raw("elsewhere.example", routed=False)
    stranger.ask("MESSAGE", "sip:bob@home.example")
    await stranger.next(403)
    status = status_of(stage.kernel)
    assert sum(status.refused.values()) == 1
    assert status.refusals["sender-unknown"] == 1
    assert status.healthy


async def test_answers_are_sorted_by_method_and_status(scene, autojump_clock):
    stage = await scene()
    for method, status in ((b"MESSAGE", 403), (b"INVITE", 486), (b"MESSAGE", 200)):
        stage.kernel.journal.answered(method, status)
    assert [(a.method, a.status, a.count) for a in status_of(stage.kernel).answers] == [
        ("INVITE", 486, 1),
        ("MESSAGE", 200, 1),
        ("MESSAGE", 403, 1),
    ]


async def test_every_fixed_word_has_its_count_and_the_transactions_add_theirs(
    scene, autojump_clock
):
    stage = await scene()
    stage.kernel.transactions.turned_away = 3
    stage.kernel.transactions.strays = 2
    stage.kernel.journal.refused_for["overload"] = 4
    stage.kernel.lost_lines = lambda: 5
    status = status_of(stage.kernel)
    assert status.log_lines_lost == 5
    assert status.refusals == {**dict.fromkeys(Refusal, 0), "overload": 7}
    assert status.drops == {**dict.fromkeys(Drop, 0), "stray-response": 2}
    assert status.requests["INVITE"] == 0


async def test_an_interface_that_failed_makes_it_unhealthy_with_reason_and_remedy(
    scene, autojump_clock
):
    stage = await scene()
    stage.kernel.interfaces.named("udp").failed("Address already in use")
    status = status_of(stage.kernel)
    assert not status.healthy
    [problem] = status.problems
    assert "interface udp: cannot listen on 127.0.0.1 port 5060 (udp): Address already in use" in (
        problem.text
    )
    assert "sipx check" in problem.remedy


async def test_a_failed_service_makes_its_plugin_failed(scene, autojump_clock, monkeypatch):
    stage = await scene()
    failed = ServiceState("testing-peers", "serve", "failed", "OSError: full", restarts=3)
    monkeypatch.setattr(Services, "states", [failed])
    status = status_of(stage.kernel)
    plugin = next(p for p in status.plugins if p.name == "testing-peers")
    assert (plugin.state, plugin.services[0].error, plugin.services[0].restarts) == (
        "failed",
        "OSError: full",
        3,
    )
    assert not status.healthy
    assert "OSError: full" in status.problems[0].text


async def test_a_trouble_is_shown_with_its_age_and_is_no_failure(scene, autojump_clock):
    stage = await scene()
    stage.kernel.troubles.note("partner", "away.example", "refused")
    await trio.sleep(7)
    [trouble] = status_of(stage.kernel).troubles
    assert (trouble.kind, trouble.name, trouble.text) == ("partner", "away.example", "refused")
    assert trouble.lasting == pytest.approx(7)
    assert status_of(stage.kernel).healthy


# ---------------------------------------------------------------- certificates


def certificate(directory, days):
    """A table [certificate.NAME] whose files are good for so many days from now."""
    end = datetime.fromtimestamp(EPOCH, UTC) + timedelta(days=days)
    issued = Authority().leaf(
        dns=["home.example"], not_before=end - timedelta(days=365), not_after=end
    )
    cert, key = issued.write(directory, "main")
    return {"cert_file": cert, "key_file": key}


@pytest.mark.parametrize(
    ("days", "healthy", "said"),
    [(90, True, ""), (5, True, "expires in 5 days"), (-1, False, "expired on")],
)
async def test_a_certificate_is_told_before_and_after_its_end(
    scene, autojump_clock, tmp_path, days, healthy, said
):
    stage = await scene(
        wan={"certificate": "main"}, certificate={"main": certificate(tmp_path, days)}
    )
    status = status_of(stage.kernel)
    [shown] = status.certificates
    assert shown.used_by == ("wan",)
    assert shown.days_left == days
    assert status.healthy is healthy
    assert said in " ".join(problem.text for problem in status.problems)
    assert bool(status.problems) is bool(said)


# ---------------------------------------------------------------- what plugins show


async def test_a_plugin_shows_models_and_lists_of_models(scene, autojump_clock):
    stage = await scene()
    shown = {
        "items": [Item(name="a", size=1), Item(name="b", size=2)],
        "one": Item(name="c", size=3),
    }
    stage.plug("showing", Showing(shown))
    assert status_of(stage.kernel).sections == {
        "items": [{"name": "a", "size": 1}, {"name": "b", "size": 2}],
        "one": {"name": "c", "size": 3},
    }


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        (ValueError("no disk"), "ValueError: no disk"),
        ([1], "AttributeError"),
        ({"items": [1]}, "AttributeError"),
        ({"items": 1}, "TypeError"),
        ({"taken": []}, "another plugin shows 'taken' already"),
    ],
)
async def test_a_plugin_that_breaks_its_part_leaves_the_rest(scene, autojump_clock, shown, said):
    stage = await scene()
    stage.forgive()
    stage.plug("broken", Showing(shown))
    stage.plug("good", Showing({"taken": [], "more": []}))
    status = status_of(stage.kernel)
    assert {"taken", "more"} <= status.sections.keys()
    [problem] = status.problems
    assert said in problem.text
    assert "plugin broken" in problem.text
    assert status.healthy
    assert stage.kernel.journal.faults["broken"] == 1


async def test_a_plugin_reads_the_status_and_what_is_wrong_with_a_partner(scene, autojump_clock):
    stage = await scene()
    held = stage.kernel.handle("lab")
    stage.kernel.troubles.note("partner", "away.example", "refused")
    assert held.status().interfaces[0].state == Status.LISTENING.value
    assert held.trouble("partner", "away.example") == "refused"
    assert held.trouble("partner", "home.example") == ""

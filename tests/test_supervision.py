"""The barrier around services of plugins: restarts with backoff, and what status shows."""

from functools import partial

import pytest
import trio

from sipx.errors import StartError
from sipx.hooks import Contribution
from sipx.plugin import hookimpl
from sipx.supervision import END_PATIENCE, Services, ServiceState, describe, supervise


class Service:
    """Fails ``lives`` seconds after it was started, as often as ``failures`` says."""

    def __init__(self, failures=10**6, lives=0.0, ready=True):
        self.failures = failures
        self.lives = lives
        self.ready = ready
        self.starts = []

    async def __call__(self, *, task_status=trio.TASK_STATUS_IGNORED):
        self.starts.append(trio.current_time())
        if self.ready:
            task_status.started()
        await trio.sleep(self.lives)
        if len(self.starts) <= self.failures:
            raise ConnectionError("no database")
        if not self.ready:
            task_status.started()
        await trio.sleep_forever()


def pauses(service):
    return [
        later - sooner - service.lives
        for sooner, later in zip(service.starts, service.starts[1:], strict=False)
    ]


async def watch(nursery, service, failed=None):
    state = ServiceState("lab", "service")
    told = [] if failed is None else failed
    tried = trio.Event()
    nursery.start_soon(
        partial(supervise, service, state, lambda state, error: told.append(error), tried=tried)
    )
    await tried.wait()
    return state


@pytest.mark.parametrize("ready", [True, False])
async def test_a_failing_service_is_started_again_after_1_2_4_up_to_60_seconds(
    nursery, autojump_clock, ready
):
    service = Service(ready=ready)
    failed = []
    state = await watch(nursery, service, failed)
    await trio.sleep(300)
    assert pauses(service) == pytest.approx([1, 2, 4, 8, 16, 32, 60, 60, 60])
    assert (state.status, state.error) == ("failed", "ConnectionError: no database")
    assert state.restarts == 9
    assert len(failed) == 10


async def test_a_service_that_ran_for_long_is_started_again_at_once(nursery, autojump_clock):
    service = Service(lives=61)
    await watch(nursery, service)
    await trio.sleep(400)
    assert pauses(service) == pytest.approx([1] * 6)


async def test_a_service_that_recovers_is_shown_as_running(nursery, autojump_clock):
    service = Service(failures=2, ready=False)
    state = await watch(nursery, service)
    assert state.status == "failed"
    await trio.sleep(10)
    assert (state.status, state.restarts) == ("running", 2)


async def test_a_service_that_ends_is_not_started_again(nursery, autojump_clock):
    async def once(*, task_status):
        task_status.started()

    state = await watch(nursery, once)
    await trio.sleep(100)
    assert (state.status, state.restarts) == ("ended", 0)


async def test_a_service_that_never_says_it_is_ready_counts_as_a_failure(nursery, autojump_clock):
    async def silent(*, task_status):
        pass

    state = await watch(nursery, silent)
    assert state.status == "failed"
    assert state.error.startswith("RuntimeError")


async def test_a_service_that_is_cancelled_does_not_come_back(autojump_clock):
    service = Service(failures=0)
    async with trio.open_nursery() as nursery:
        await watch(nursery, service)
        nursery.cancel_scope.cancel()
    assert len(service.starts) == 1


@pytest.mark.parametrize(
    ("error", "line", "traceback"),
    [
        (
            StartError("port 80 is taken; set lab.port"),
            "failed: StartError: port 80 is taken",
            False,
        ),
        (ConnectionError("no database"), "failed; next try in 1 s", True),
    ],
)
async def test_what_the_operator_can_mend_is_a_sentence_and_no_traceback(
    nursery, autojump_clock, caplog, error, line, traceback
):
    async def refused(*, task_status=trio.TASK_STATUS_IGNORED):
        async with trio.open_nursery():
            raise error

    await watch(nursery, refused)
    assert line in caplog.text
    assert ("Traceback" in caplog.text) is traceback


def test_the_reason_is_the_innermost_one_in_a_line():
    group = ExceptionGroup("outer", [ExceptionGroup("inner", [ValueError("the reason")])])
    assert describe(group) == "ValueError: the reason"
    assert describe(KeyError()) == "KeyError"


class Serving:
    """A plugin with one service that fails when it is told to."""

    def __init__(self):
        self.fail = trio.Event()
        self.starts = 0

    @hookimpl
    def services(self):
        return [self.serve]

    async def serve(self, *, task_status=trio.TASK_STATUS_IGNORED):
        self.starts += 1
        task_status.started()
        await self.fail.wait()
        raise OSError("its database is gone")


async def test_a_failing_service_takes_neither_the_proxy_nor_the_others_with_it(
    scene, autojump_clock, monkeypatch
):
    from sipx.registry import Registry

    one, two = Serving(), Serving()
    start = Registry.start

    def with_services(registry, settings, proxy_for):
        hooks = start(registry, settings, proxy_for)
        hooks.register("one", one)
        hooks.register("two", two)
        return hooks

    monkeypatch.setattr(Registry, "start", with_services)
    stage = await scene()
    stage.forgive()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    one.fail.set()
    await trio.sleep(0.1)
    shown = {state.plugin: state for state in stage.kernel.services}
    assert (shown["one"].status, shown["two"].status) == ("failed", "running")
    assert shown["one"].error == "OSError: its database is gone"
    assert shown["one"].name == "serve"
    assert stage.kernel.journal.faults == {"one": 1}
    home.ask("MESSAGE", "sip:bob@away.example")
    away.answer(await away.next("MESSAGE"), 200)
    await home.next(200)
    one.fail = trio.Event()
    await trio.sleep(1)
    assert (shown["one"].status, one.starts, two.starts) == ("running", 2, 1)


async def test_a_service_that_does_not_end_when_it_is_told_keeps_nobody_waiting(
    nursery, autojump_clock, caplog
):
    async def stubborn(*, task_status=trio.TASK_STATUS_IGNORED):
        task_status.started()
        with trio.CancelScope(shield=True):
            await trio.sleep(100)

    services = Services(lambda state, error: None)
    await nursery.start(services.run)
    await services.start([Contribution("lab", stubborn)])
    began = trio.current_time()
    await services.end("lab")
    assert trio.current_time() - began == pytest.approx(END_PATIENCE)
    assert services.states == []
    assert "stubborn of plugin lab was told to end 10 s ago and still runs" in caplog.text
    nursery.cancel_scope.cancel()

"""Start, stop, restart, status: a real process, and a service manager that writes down."""

from __future__ import annotations

import signal
import socket

import pytest


def answers(address: tuple[str, int]) -> bool:
    """Whether somebody takes a TCP connection there."""
    try:
        socket.create_connection(address, 30).close()
    except ConnectionRefusedError:
        return False
    return True


# ---------------------------------------------------------------- inside the process


def test_stop_and_start_act_on_the_proxy_inside_the_process(two_domains, running, line, no_manager):
    with running() as proxy:
        address = proxy.address("far")
        assert answers(address)
        assert line("service", "stop").exit_code == 0
        assert not answers(address)
        status = line("service", "status", "--json")
        assert status.exit_code == 1
        assert '"proxy": "stopped"' in status.stdout
        assert proxy.process.poll() is None
        assert line("service", "start").exit_code == 0
        said = line.json("service", "status")
        assert (said["proxy"], said["unit"]) == ("running", None)
        assert said["process"]["pid"] == proxy.process.pid
        proxy.send(signal.SIGTERM)
        assert proxy.ended() == 0


def test_what_is_reloaded_while_it_is_stopped_holds_when_it_starts(
    two_domains, running, line, no_manager
):
    with running() as proxy:
        line("service", "stop")
        text = two_domains.read_text().replace(
            "[interface.far]", "[interface.far]\nenabled = false"
        )
        two_domains.write_text(text)
        assert line("reload").exit_code == 0
        line("service", "start")
        states = {i["name"]: i["state"] for i in line.json("status")["interfaces"]}
        assert states == {"near": "listening", "far": "off"}
        assert proxy.process.poll() is None


def test_a_process_whose_proxy_is_stopped_ends_on_a_signal(two_domains, running, line, no_manager):
    with running() as proxy:
        line("service", "stop")
        proxy.send(signal.SIGTERM)
        assert proxy.ended() == 0


def test_what_is_so_already_is_said_and_is_no_failure(two_domains, running, line, no_manager):
    with running():
        assert line("service", "start").stdout == "the proxy service runs already\n"
        line("service", "stop")
        again = line("service", "stop")
        assert (again.exit_code, again.stdout) == (0, "the proxy service was stopped already\n")


def test_a_restart_leaves_the_process(two_domains, running, line, no_manager):
    with running() as proxy:
        assert line("service", "restart", "--now").exit_code == 0
        assert line.json("service", "status")["proxy"] == "running"
        assert proxy.process.poll() is None


def test_stop_process_ends_it_and_waits_for_that(two_domains, running, line, no_manager):
    with running() as proxy:
        assert line("service", "stop", "--process").exit_code == 0
        assert proxy.ended() == 0
        assert line("service", "status").exit_code == 4


def test_a_process_of_nobody_cannot_be_started_again(two_domains, running, line, no_manager):
    with running() as proxy:
        refused = line("service", "restart", "--process")
        assert refused.exit_code == 1
        assert f"the process {proxy.process.pid} belongs to no service manager" in refused.stderr
        assert proxy.process.poll() is None


@pytest.mark.parametrize("verb", ["start", "stop", "restart"])
def test_without_a_process_and_a_unit_there_is_nobody_to_tell(two_domains, line, no_manager, verb):
    result = line("service", verb)
    assert result.exit_code == 4
    assert "`sipx run`" in result.stderr
    assert "`sipx service install`" in result.stderr
    assert line("service", "status").exit_code == 4


# ---------------------------------------------------------------- through the service manager


@pytest.mark.parametrize("verb", ["start", "stop", "restart"])
def test_without_a_process_the_unit_is_acted_on(two_domains, line, manager, verb):
    manager.has_unit(state="inactive")
    assert line("service", verb).exit_code == 0
    assert manager.told() == [f"systemctl {verb} sipx.service"]


def test_a_process_that_answers_is_asked_before_its_manager(two_domains, running, line, manager):
    with running() as proxy:
        manager.has_unit(proxy.process.pid)
        assert line("service", "restart").exit_code == 0
        assert manager.told() == []


@pytest.mark.parametrize("verb", ["stop", "restart"])
def test_the_process_of_a_unit_is_left_to_its_manager(two_domains, running, line, manager, verb):
    with running() as proxy:
        manager.has_unit(proxy.process.pid)
        assert line("service", verb, "--process").exit_code == 0
        assert manager.told() == [f"systemctl {verb} sipx.service"]
        assert proxy.process.poll() is None


def test_another_process_than_that_of_the_unit_is_ended_by_itself(
    two_domains, running, line, manager
):
    with running() as proxy:
        manager.has_unit(1)
        assert line("service", "stop", "--process").exit_code == 0
        assert manager.told() == []
        assert proxy.ended() == 0


def test_the_status_says_what_the_manager_and_the_proxy_say(two_domains, running, line, manager):
    with running() as proxy:
        manager.has_unit(proxy.process.pid)
        unit, process, inside = line("service", "status").stdout.splitlines()
    assert unit.split(maxsplit=1)[1] == (
        "sipx.service (system): active (running), enabled, started again 2 times"
    )
    assert process.split(maxsplit=1)[1].startswith(f"{proxy.process.pid}, sipx ")
    assert inside.split(maxsplit=1)[1] == "running: 2 of 2 interfaces listen"


def test_a_missing_right_is_exit_code_5_with_the_words_of_the_manager(two_domains, line, manager):
    manager.has_unit(state="inactive")
    manager.refuses()
    refused = line("service", "start")
    assert refused.exit_code == 5
    assert "`systemctl start sipx.service` failed: Access denied" in refused.stderr

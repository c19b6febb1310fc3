"""``sipx registrations`` and ``sipx check registrar`` as the operator sees them."""

from __future__ import annotations

import json
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import trio
from click.testing import CliRunner
from sipx_registrar.config import RegistrarConfig
from sipx_registrar.registration_checks import findings
from sipx_registrar.registrations_commands import registrations
from sipx_registrar.registrations_control import RegistrationMethods

from sipx import BindingChange, Caller, CommandLine, ControlError

from .desk import CONTACT, EPOCH, Desk, FakeProxy, a_binding

ALICE = "sip:alice@home.example"


@pytest.fixture
def desk():
    desk = Desk()
    desk.flow().id = 7
    desk.register(ALICE, CONTACT, expires=5400)
    bob = a_binding(b"bob@home.example", b"sip:bob\xc2\x9b@10.0.0.1", expires=EPOCH + 90)
    desk.bindings.apply([BindingChange(bob.aor, bob.key, bob)])
    desk.register("sip:uc-berlin@home.example", CONTACT)
    return desk


@pytest.fixture
def run(desk, monkeypatch):
    """Run the command against a desk in place of a service."""
    methods = RegistrationMethods(desk.proxy, desk.bindings, desk.plugin.writing)

    def call(name, params, result):
        async def answer():
            if name == "registrar.registrations":
                return await methods.list(params)
            async with trio.open_nursery() as nursery:
                await nursery.start(desk.plugin.writing.registrations)
                ended = await methods.remove(params, Caller("tester"))
                nursery.cancel_scope.cancel()
            return ended

        try:
            return trio.run(answer)
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None

    @contextmanager
    def control(line):
        try:
            yield SimpleNamespace(call=call)
        except ControlError as error:
            raise line.failed(error.text) from error

    monkeypatch.setattr(CommandLine, "control", control)

    def run(*args, code=0):
        done = CliRunner().invoke(registrations, args, obj=CommandLine(), standalone_mode=False)
        if code:
            assert done.exception is not None
            return str(done.exception)
        assert done.exception is None, done.exception
        return done.stdout

    return run


def test_all_of_them(run):
    lines = run().splitlines()
    assert lines[0].split() == ["user", "owner", "contact", "from", "flow", "since", "expires"]
    assert "alice@home.example" in lines[1]
    assert "tcp:10.0.0.11:5060" in lines[1]
    assert lines[1].endswith("in 1 h 30 min")
    assert lines[2].endswith("in 1 min 30 s")
    assert lines[3].startswith("(the server itself)")
    assert "\x9b" not in lines[2]


def test_those_of_a_user_or_of_an_owner(run):
    assert len(run("alice").splitlines()) == 2
    assert len(run("*@home.example", "--limit", "1").splitlines()) == 3
    assert "and 1 more" in run("*", "--limit", "1")
    assert run("carol").strip() == "carol is not registered"
    assert run("alice", "--owner", "paris").strip() == "alice is not registered by paris"
    assert run("--owner", "paris").strip() == "nobody is registered by paris"
    assert len(run("--owner", "berlin").splitlines()) == 4


def test_as_json_it_is_data(run):
    found = json.loads(run("alice", "--json"))
    assert found["total"] == 1
    (one,) = found["registrations"]
    assert (one["user"], one["expires"], one["flow"]) == ("alice@home.example", 5400, 7)


def test_one_is_ended(run, desk):
    said = run("remove", "alice").strip()
    assert said == "alice@home.example is not registered at sip:alice@10.0.0.11:5060 any more"
    assert desk.contacts() == []
    assert "alice is not registered" in run("remove", "alice", code=1)


def test_what_is_not_there_cannot_be_ended(run):
    said = run("remove", "alice", "sip:elsewhere", code=1)
    assert said.endswith("registered at: sip:alice@10.0.0.11:5060")


def test_who_sits_there_is_asked(run, desk, monkeypatch):
    asked = []

    def refuse(line, question):
        asked.append(question)
        raise line.failed("nothing is changed")

    monkeypatch.setattr(CommandLine, "confirm", refuse)
    assert run("remove", "alice", "sip:x", code=1) == "nothing is changed"
    assert asked == ["End the registration of alice at sip:x?"]
    assert desk.contacts()


# ---------------------------------------------------------------- checks


def found(tmp_path, **config):
    proxy = FakeProxy(tmp_path)
    return [f.code for f in findings(RegistrarConfig.model_validate(config), proxy)]


def test_the_defaults_are_fine(tmp_path):
    assert found(tmp_path) == []


def test_memory_forgets(tmp_path):
    assert found(tmp_path, store="memory") == ["SIPX-G001"]


def test_a_directory_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    assert found(tmp_path / "file" / "below") == ["SIPX-G002"]


def test_a_directory_that_is_yet_to_be_made(tmp_path):
    assert found(tmp_path / "not-there") == []


def test_a_directory_that_cannot_be_made():
    class Elsewhere(FakeProxy):
        @property
        def state_dir(self):
            raise PermissionError(13, "Permission denied")

        @state_dir.setter
        def state_dir(self, value):
            pass

    (only,) = findings(RegistrarConfig(), Elsewhere())
    assert (only.code, "Permission denied" in only.text) == ("SIPX-G002", True)


def test_a_damaged_file_is_shown_until_it_is_gone(tmp_path):
    (tmp_path / "registrations.sqlite.damaged-20260101-000000").touch()
    (tmp_path / "registrations.sqlite.damaged-20260101-000000-wal").touch()
    assert found(tmp_path) == ["SIPX-G003"]


def test_weak_settings(tmp_path):
    assert found(tmp_path, moved="replace", max_expires="30d") == ["SIPX-G004", "SIPX-G005"]


# ---------------------------------------------------------------- the table [registrar]


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("min_expires", "500ms", "min_expires is less than a second"),
        ("min_expires", "2h", "not in this order"),
        ("max_expires", "10m", "not in this order"),
        ("ping_timeout", "31s", "ping_timeout is longer than ping_interval"),
        ("max_bindings", 0, "max_bindings"),
        ("store", "redis", "store"),
        ("moved", "last", "moved"),
    ],
)
def test_what_cannot_be_is_said(key, value, said):
    with pytest.raises(ValueError, match=said):
        RegistrarConfig.model_validate({key: value})


def test_without_pings_their_timeout_does_not_matter():
    assert RegistrarConfig.model_validate({"ping_interval": 0, "ping_timeout": 60}).ping_timeout

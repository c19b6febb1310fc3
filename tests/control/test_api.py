"""All methods together: found, called, described."""

from __future__ import annotations

import json
import logging

import pytest
from pydantic import BaseModel

from sipx.control.api import Api
from sipx.control.errors import CODES, ControlError
from sipx.control.methods import Caller, Done, Method, changing
from sipx.errors import PluginError, SipxError

from .conftest import Ours, Said, Word

ME = Caller("ada", 1000, 7)


def plain() -> Done:
    """Do nothing."""
    return Done()


def bug() -> Done:
    """Break."""
    raise ValueError("no")


def refusing(error):
    """An api whose method raises."""

    def refuse() -> Done:
        raise error

    return Api({"refuse": refuse})


def with_plugin(*methods, fault=None):
    """An api of the kernel and a plugin."""
    return Api({"plain": plain}, more=lambda: methods, fault=fault)


async def test_a_method_is_called_by_name_with_models_or_plain_values(api):
    assert await api.call("echo", Word(word="a"), ME) == Said(said="a")
    assert await api.call("echo", {"word": "a", "times": 3}, ME) == Said(said="aaa")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (SipxError("so it is"), "failed"),
        (PluginError("so it is"), "plugin"),
        (ControlError("not found", "so it is"), "not found"),
    ],
)
async def test_what_an_operator_can_act_on_is_answered_in_its_words(error, kind):
    with pytest.raises(ControlError, match="so it is") as caught:
        await refusing(error).call("refuse", None, ME)
    assert caught.value.kind == kind
    assert caught.value.code == CODES[kind]


async def test_a_bug_of_a_plugin_is_its_fault_and_is_not_told(caplog):
    faults = []
    api = with_plugin(Method.of("lab.bug", bug, "lab"), fault=lambda *fault: faults.append(fault))
    with pytest.raises(ControlError, match="of the plugin lab failed; the log has") as caught:
        await api.call("lab.bug", None, ME)
    assert caught.value.kind == "internal"
    assert [(plugin, name) for plugin, name, _ in faults] == [("lab", "lab.bug")]


async def test_a_bug_of_ours_is_logged_with_its_traceback(caplog):
    with pytest.raises(ControlError):
        await Api({"bug": bug}).call("bug", None, ME)
    assert "Traceback" in caplog.text
    assert "ValueError: no" in caplog.text


async def test_streams_and_calls_are_not_mixed_up(api):
    with pytest.raises(ControlError, match="subscribe to it"):
        await api.call("count", None, ME)
    with pytest.raises(ControlError, match="call it"):
        api.events("echo", {"word": "a"}, ME)


async def test_events_of_a_stream(api):
    assert [event.number async for event in api.events("count", {"limit": 2}, ME)] == [0, 1]


def test_two_methods_of_one_name_are_refused():
    with pytest.raises(PluginError, match="'plain' is there twice"):
        Api({"plain": plain}).add({"plain": plain})
    api = with_plugin(Method.of("a.do", plain, "a"), Method.of("a.do", plain, "b"))
    with pytest.raises(PluginError, match=r"plugin 'b': .*'a\.do' is there already: a brings it"):
        api.methods()


async def test_a_broken_plugin_takes_none_of_the_kernels_methods_away():
    def more():
        raise PluginError("plugin 'lab': broken")

    api = Api({"plain": plain}, more=more)
    assert await api.call("plain", None, ME) == Done()
    with pytest.raises(ControlError, match="plugin 'lab': broken"):
        await api.call("lab.do", None, ME)


async def test_methods_are_listed_with_their_first_line_and_owner():
    api = with_plugin(Method.of("lab.do", plain, "lab"))
    listed = {m.name: m for m in (await api.call("control.methods", None, ME)).methods}
    assert list(listed) == sorted(listed)
    assert listed["lab.do"].plugin == "lab"
    assert listed["lab.do"].help == "Do nothing."
    assert {"control.methods", "control.version", "control.unsubscribe"} <= listed.keys()


# ---------------------------------------------------------------- the description


@pytest.fixture
def schema():
    return Api(Ours().methods()).schema()


def test_the_schema_is_an_openrpc_document_with_every_method(schema, api):
    assert schema["openrpc"].startswith("1.")
    assert [method["name"] for method in schema["methods"]] == list(api.methods())
    echo = next(m for m in schema["methods"] if m["name"] == "echo")
    assert echo["summary"] == "Say a word again."
    assert "As often as it is wanted." in echo["description"]
    assert [(p["name"], p["required"]) for p in echo["params"]] == [
        ("word", True),
        ("times", False),
    ]
    assert echo["result"]["schema"] == {"$ref": "#/components/schemas/Said"}


def test_a_stream_is_described_by_its_event(schema):
    count = next(m for m in schema["methods"] if m["name"] == "count")
    assert count["x-event"] == {"$ref": "#/components/schemas/Event"}
    assert "subscription" in count["result"]["schema"]["properties"]


def test_every_reference_of_the_schema_leads_somewhere(schema):
    text = json.dumps(schema)
    for reference in text.split('"$ref": "')[1:]:
        place = reference.partition('"')[0]
        found = schema
        for part in place.removeprefix("#/").split("/"):
            found = found[part]
        assert isinstance(found, dict), reference


def test_who_changes_something_is_marked(schema):
    marked = [m["name"] for m in schema["methods"] if m.get("x-changing")]
    assert marked == ["change"]


async def test_what_would_only_be_changed_is_not_written_into_the_log(caplog):
    class Asked(BaseModel):
        dry_run: bool = False

    @changing
    def change(params: Asked) -> Done:
        """Change something."""
        return Done()

    change.__annotations__ = {"params": Asked, "return": Done}
    api = Api({"lab.change": change})
    caplog.set_level(logging.INFO)
    await api.call("lab.change", {"dry_run": True}, ME)
    assert caplog.messages == []
    await api.call("lab.change", {"dry_run": False}, ME)
    assert caplog.messages == ["ada (uid 1000, pid 7) called lab.change"]

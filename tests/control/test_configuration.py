"""The configuration over the control API: shown, changed and taken up, or neither."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
import trio

from sipx.config import load
from sipx.config.document import Document
from sipx.control.errors import ControlError
from sipx.control.kernel import api_of
from sipx.control.methods import Caller
from sipx.kernel import Kernel
from sipx.registry import Registry

if TYPE_CHECKING:
    from pathlib import Path

    from sipx.control.api import Api

TEXT = """\
# the laboratory
domains = ["example.com"]
plugins = ["udp"]

[service]
state_dir = "state"

[certificate.main]
pkcs12_file = "main.p12"
pkcs12_password = "hunter2" # a secret

[interface.near] # towards us
bind = "127.0.0.1"
port = 0
protocol = "udp"
"""
ADA = Caller("ada", 1000, 4711)


class Scene:
    """A running kernel, and calls of its methods."""

    def __init__(self, kernel: Kernel, path: Path) -> None:
        self.kernel = kernel
        self.path = path
        self.api: Api = api_of(kernel)

    async def call(self, name: str, **params: Any) -> Any:
        result = await self.api.call(f"config.{name}", params or None, ADA)
        text = result.model_dump_json()
        assert "hunter2" not in text
        return json.loads(text)

    async def refused(self, name: str, **params: Any) -> ControlError:
        with pytest.raises(ControlError) as caught:
            await self.call(name, **params)
        assert "hunter2" not in str(caught.value)
        return caught.value

    async def set(self, key: str, value: Any, **more: Any) -> Any:
        edit = {"op": "set", "key": key, "value": value}
        return await self.call("change", edits=[edit], **more)

    def ports(self) -> list[str]:
        return [interface.name for interface in self.kernel.interfaces.listening()]


@pytest.fixture
async def scene(tmp_path: Path, nursery: trio.Nursery):
    path = tmp_path / "sipx.toml"
    path.write_text(TEXT)
    (tmp_path / "main.p12").write_bytes(b"")
    registry = Registry()
    kernel = Kernel(load(path, registry), registry)
    await nursery.start(kernel.run)
    return Scene(kernel, path)


async def test_show_tells_settings_and_hides_secrets(scene):
    found = {s["key"]: s for s in (await scene.call("show", defaults=True))["settings"]}
    assert found["interface.near.bind"]["value"] == "127.0.0.1"
    assert found["interface.near.bind"]["line"] == 13
    assert found["dns.timeout"]["line"] is None
    assert found["certificate.main.pkcs12_password"]["value"] == "**********"
    assert found["wan.public_port"]["help"].startswith("The port that is written")
    only = await scene.call("show", key="interface.near")
    assert {s["key"] for s in only["settings"]} == {
        f"interface.near.{key}" for key in ("bind", "port", "protocol")
    }


async def test_text_is_the_file_without_secrets(scene):
    found = await scene.call("text")
    assert found["text"] == TEXT.replace("hunter2", "**********")


async def test_a_change_is_written_and_taken_up_and_has_an_author(scene):
    table = {"bind": "127.0.0.1", "port": 0, "protocol": "udp"}
    edit = {"op": "add_table", "key": "interface.far", "value": table, "comment": "the other"}
    done = await scene.call("change", edits=[edit])
    assert done["plan"]["listen"] == ["far"]
    assert scene.ports() == ["near", "far"]
    assert scene.path.read_text() == TEXT + (
        '\n# the other\n[interface.far]\nbind = "127.0.0.1"\nport = 0\nprotocol = "udp"\n'
    )
    versions = (await scene.call("history"))["versions"]
    assert versions[-1]["number"] == done["version"]
    assert (versions[-1]["author"], versions[-1]["why"]) == ("ada", "added interface.far")


async def test_a_dry_run_tells_plan_and_diff_and_changes_nothing(scene):
    done = await scene.set("interface.near.port", 5099, dry_run=True)
    assert done["plan"]["rebind"] == ["near"]
    assert "+port = 5099" in done["diff"]
    assert done["version"] is None
    assert scene.path.read_text() == TEXT
    assert not (scene.path.parent / "state/config-history").exists()


async def test_all_edits_of_a_change_or_none(scene):
    good = {"op": "set", "key": "dns.timeout", "value": "2s"}
    bad = {"op": "unset", "key": "dns.nothing"}
    error = await scene.refused("change", edits=[good, bad])
    assert error.kind == "not found"
    bad = {"op": "set", "key": "interface.near.port", "value": 99999}
    error = await scene.refused("change", edits=[good, bad])
    assert error.kind == "configuration"
    assert error.problems[0].key == "interface.near.port"
    assert scene.path.read_text() == TEXT


async def test_what_the_proxy_cannot_take_up_is_taken_back(scene):
    taken = scene.kernel.interfaces.listening()[0].address[1]
    table = {"bind": "127.0.0.1", "port": taken, "protocol": "udp"}
    error = await scene.refused(
        "change", edits=[{"op": "add_table", "key": "interface.far", "value": table}]
    )
    assert error.kind == "reload"
    assert scene.path.read_text() == TEXT
    assert scene.ports() == ["near"]
    whys = [version["why"] for version in (await scene.call("history"))["versions"]]
    assert whys[-1] == "taken back: added interface.far"


async def test_a_change_of_a_file_that_is_another_now_is_refused(scene):
    etag = (await scene.call("text"))["etag"]
    scene.path.write_text(TEXT + "# by hand\n")
    error = await scene.refused(
        "change", edits=[{"op": "set", "key": "dns.timeout", "value": "2s"}], etag=etag
    )
    assert error.kind == "not now"
    assert scene.path.read_text() == TEXT + "# by hand\n"


async def test_a_text_that_was_shown_can_be_sent_back(scene):
    shown = (await scene.call("text"))["text"]
    checked = await scene.call("check", text=shown)
    assert checked == {"valid": True, "problems": [], "diff": []}
    new = shown.replace("# the laboratory", "# the second laboratory")
    done = await scene.call("change", edits=[{"op": "text", "value": new}])
    assert done["plan"]["changed"] == []
    assert scene.path.read_text() == TEXT.replace("# the lab", "# the second lab")


async def test_check_tells_what_would_be_wrong(scene):
    checked = await scene.call("check", text=TEXT.replace("port = 0", "port = 99999"))
    assert checked["valid"] is False
    assert checked["problems"][0]["line"] == 14
    assert (await scene.call("check", text="= 1"))["problems"][0]["text"].endswith(
        "not TOML: invalid statement"
    )


async def test_undo_goes_back_and_is_taken_up(scene):
    await scene.set("domains", ["example.com", "example.org"])
    assert b"example.org" in scene.kernel.domains
    tried = await scene.call("undo", dry_run=True)
    assert '+domains = ["example.com"]' in tried["diff"]
    done = await scene.call("undo")
    assert done["plan"]["changed"] == ["domains"]
    assert scene.path.read_text() == TEXT
    assert b"example.org" not in scene.kernel.domains
    assert (await scene.refused("undo")).kind == "not found"


async def test_running_tells_what_is_another_in_the_file(scene):
    same = await scene.call("running")
    assert same["other"] == []
    assert same["file"] == str(scene.path)
    scene.path.write_text(TEXT.replace("hunter2", "hunter2x").replace('"udp"]', '"udp", "tcp"]'))
    found = await scene.call("running")
    assert found["other"] == ["plugins", "certificate.main.pkcs12_password"]
    assert found["other_secrets"] == ["certificate.main.pkcs12_password"]
    assert found["text"] == TEXT.replace("hunter2", "**********")


@pytest.mark.parametrize(
    "edit",
    [
        {"op": "set", "key": "a..b", "value": 1},
        {"op": "add_table", "key": "interface.x", "value": 1},
        {"op": "text", "value": 5},
        {"op": "other", "key": "a"},
    ],
)
async def test_edits_that_are_none_are_wrong_parameters(scene, edit):
    assert (await scene.refused("change", edits=[edit])).kind == "params"
    assert (await scene.refused("change", edits=[])).kind == "params"


async def test_a_change_whose_client_goes_away_is_taken_back(scene: Scene, monkeypatch) -> None:
    before = scene.path.read_text()

    async def hangs(self: Any, undo: Any) -> None:
        assert "port = 1" in scene.path.read_text()
        scope.cancel()
        await trio.sleep_forever()

    monkeypatch.setattr("sipx.reload.Reload._serve", hangs)
    with trio.CancelScope() as scope:
        await scene.set("interface.near.port", 1)
    assert scope.cancelled_caught
    assert scene.path.read_text() == before


async def test_the_file_is_read_beside_the_messages(scene: Scene, monkeypatch) -> None:
    """A file of some hundred routes takes a tenth of a second, and is compared twice."""
    here = threading.get_ident()
    busy: list[str] = []
    real = Document.__init__

    def told(self: Document, *args: Any, **more: Any) -> None:
        if threading.get_ident() == here:
            busy.append("read")
        real(self, *args, **more)

    monkeypatch.setattr(Document, "__init__", told)
    await scene.call("show", defaults=True)
    await scene.call("text")
    await scene.call("check", text=TEXT)
    await scene.set("limits.body", 4096)
    await scene.call("history")
    await scene.call("undo", dry_run=True)
    await scene.call("running")
    assert busy == []

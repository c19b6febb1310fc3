"""Files of the console and of panels: what is served, and what a browser has already."""

from __future__ import annotations

import gzip

import pytest
from sipx_monitor.web.files import CONSOLE, Files
from sipx_monitor.web.messages import Refused


async def test_a_file_comes_whole_compressed_or_not_at_all(console):
    plain = await console.ask("GET", "/console/sipx.js")
    assert plain.body == (CONSOLE / "sipx.js").read_bytes()
    assert plain.headers["content-type"] == "text/javascript; charset=utf-8"
    assert plain.headers["cache-control"] == "no-cache"
    packed = await console.ask("GET", "/console/sipx.js", accept_encoding="br, gzip")
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body
    assert packed.headers["etag"] != plain.headers["etag"]
    for answer, encoding in ((plain, None), (packed, "gzip")):
        again = await console.ask(
            "GET",
            "/console/sipx.js",
            if_none_match=answer.headers["etag"],
            accept_encoding=encoding,
        )
        assert (again.status, again.body) == (304, b"")
    refused = await console.ask("GET", "/console/sipx.js", accept_encoding="gzip;q=0, identity")
    assert "content-encoding" not in refused.headers


@pytest.mark.parametrize(
    "path",
    [
        "/console/",
        "/console/nothing.js",
        "/console/../plugin.py",
        "/console/..%2fplugin.py",
        "/console/%2e%2e/plugin.py",
        "/console//etc/passwd",
        "/console/core/",
        "/console/core",
        "/console/.hidden.js",
        "/console/sipx.js%00",
        "/console/a%5c..%5csipx.js",
        "/console/" + "a" * 400 + ".js",
        "/console/%ff.js",
        "/plugins/monitor/plugin.py",
        "/plugins/nothing/panel.js",
        "/plugins//panel.js",
        "/console",
        "//console/sipx.js",
    ],
)
async def test_what_is_not_served(console, path):
    assert (await console.ask("GET", path)).status == 404


async def test_a_link_that_leads_out_is_not_followed(tmp_path):
    folder, secret = tmp_path / "folder", tmp_path / "secret.txt"
    folder.mkdir()
    secret.write_text("secret")
    (folder / "link.txt").symlink_to(secret)
    (folder / "own.txt").write_text("own")
    files = Files()
    assert (await files.asset(folder, "own.txt")).plain == b"own"
    with pytest.raises(Refused):
        await files.asset(folder, "link.txt")


async def test_a_file_that_was_changed_is_read_again(tmp_path):
    files = Files()
    path = tmp_path / "a.js"
    path.write_text("1")
    first = await files.asset(tmp_path, "a.js")
    assert await files.asset(tmp_path, "a.js") is first
    path.write_text("22")
    assert (await files.asset(tmp_path, "a.js")).plain == b"22"


async def test_files_are_for_everybody_and_say_nothing_of_this_proxy(console):
    """Whoever is not logged on gets the page to log on with; what it shows needs a session."""
    assert (await console.ask("GET", "/")).status == 200
    assert b"home.example" not in (await console.ask("GET", "/")).body

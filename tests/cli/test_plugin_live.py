"""Commands of plugins that ask a running sipx: its socket can be named as for all others."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    "words",
    [
        ("servers",),
        ("servers", "show", "berlin"),
        ("servers", "drain", "berlin"),
        ("registrations",),
        ("lan", "bans"),
        ("metrics",),
    ],
    ids=" ".join,
)
def test_the_socket_that_is_named_is_the_one_that_is_asked(line, two_domains, tmp_path, words):
    text = two_domains.read_text()
    listed = text.replace('"static-routes"]', '"lan", "registrar", "metrics"]').partition("[static")
    two_domains.write_text(listed[0] + '[lan]\nbind = "127.0.0.1"\nuser = "uc"\n')
    result = line(*words, "--socket", str(tmp_path / "nobody.sock"))
    assert result.exit_code == 4, result.stderr
    assert "nobody.sock" in result.stderr.replace("\n", "")


async def test_hooks_are_measured_for_a_moment(service):
    stage = await service()
    found = await stage("plugins", "times", "--for", "50ms")
    assert found.exit_code == 0, found.stderr
    assert found.stdout.split()[:3] == ["plugin", "hook", "calls"]
    assert "determine_targets" in found.stdout
    for wrong in ("21s", "long"):
        refused = await stage("plugins", "times", "--for", wrong)
        assert refused.exit_code == 2
        assert f"--for {wrong}: allowed is" in refused.stderr
    shown = await stage.json("plugins", "times", "--for", "50ms")
    assert {one["calls"] for one in shown["hooks"]} == {0}

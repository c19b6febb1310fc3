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

from __future__ import annotations


def test_version_has_an_option_and_a_command(line):
    short = line("--version")
    assert short.exit_code == 0
    assert line("version").stdout == short.stdout
    assert line.json("version") == {"sipx": short.stdout.split()[1]}


def test_verbose_version_tells_what_sipx_runs_on(line):
    found = line.json("version", "-v")
    assert found["Python"].startswith("3.")
    assert {"trio", "pluggy", "pydantic", "dnspython"} <= set(found)
    assert {"udp", "tcp", "static-routes"} <= set(found["plugins"])

from __future__ import annotations

import logging

LOG = logging.getLogger("sipx.test")


def test_a_json_line_has_time_level_logger_text_and_extras(logged):
    stream, started = logged()
    with started:
        LOG.warning("interface %s: %d", "near", 7, extra={"interface": "near", "port": 7})
    [entry] = stream.entries()
    assert entry["event"] == "interface near: 7"
    assert (entry["level"], entry["logger"]) == ("warning", "sipx.test")
    assert (entry["interface"], entry["port"]) == ("near", 7)
    assert entry["timestamp"].endswith("Z")


def test_a_text_line_is_for_people(logged):
    stream, started = logged(text=True)
    with started:
        LOG.error("it failed", extra={"peer": "192.0.2.1"})
    [line] = stream.getvalue().splitlines()
    assert "[error" in line
    assert "it failed" in line
    assert "peer=192.0.2.1" in line

"""The OpenAPI document is one, and what a running sipx with traffic answers is what it says."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
import time
from http.client import HTTPConnection
from urllib.parse import urlencode

import jsonschema
import openapi_spec_validator
import pytest

PATIENCE = 60.0
PLACE = re.compile(r"^Console: http://([\d.:]+)/#token=\S+\n.*?--socket (\S+)$", re.S | re.M)


class Api:
    """A running sipx, asked over HTTP as a viewer with a token."""

    def __init__(self, host, token):
        self._host = host
        self._headers = {"Authorization": f"Bearer {token}"}
        status, self.document = self.get("openapi.json")
        assert status == 200

    def get(self, method, params=(), *, first_line=False):
        """The status, and what was answered; of a stream its first event."""
        connection = HTTPConnection(self._host, timeout=PATIENCE)
        try:
            connection.request("GET", f"/api/{method}?{urlencode(params)}", headers=self._headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.readline() if first_line else answer.read())
        finally:
            connection.close()

    def first(self, method, entries, params=()):
        """The first entry of a list, once it has one."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if found := self.get(method, params)[1][entries]:
                return found[0]
        raise AssertionError(f"nothing in {method}")

    def transaction(self):
        """What is said of one that is not over yet when it is asked about."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            for one in self.get("transactions.list")[1]["transactions"]:
                status, answer = self.get("transactions.show", {"id": one["id"]})
                if status == 200:
                    return status, answer
        raise AssertionError("all were over before they were asked about")

    def fits(self, schema, value):
        """Whether a value is what a schema of the document says. Raises ValidationError."""
        whole = {**schema, "components": self.document["components"]}
        jsonschema.Draft202012Validator(whole).validate(value)


@pytest.fixture(scope="module")
def api():
    """`sipx demo`: lan, registrar, open-federation and the console, and people that talk."""
    words = [sys.executable, "-m", "sipx", "demo", "--no-browser", "--seconds", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            shown = ""
            while not (found := PLACE.search(shown)):
                line = process.stdout.readline()
                assert line, shown
                shown += line
            # What is not read would stop the show.
            threading.Thread(target=process.stdout.read, daemon=True).start()
            host, socket = found.groups()
            token = [sys.executable, "-m", "sipx", "console", "token", "create", "test"]
            made = subprocess.run(
                [*token, "--socket", socket], capture_output=True, text=True, check=True
            )
            yield Api(host, made.stdout.strip())
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE)


@pytest.fixture(scope="module")
def known(api):
    """Values of what there is, for the parameters that have to be given."""
    status, _ = api.get("monitor.follow", first_line=True)  # from now on, and a little longer
    assert status == 200
    wanted = {"filter": "kind:request dir:in method:MESSAGE"}
    one = api.first("monitor.messages", "messages", wanted)
    flow = api.first("flows.list", "flows")["id"]
    certificate = api.first("certificates.list", "certificates")["name"]
    return {
        "certificates.show": {"name": certificate},
        "config.check": {"text": "domains = []"},
        "dns.route": {"uri": "sip:dave@partner.example"},
        "dns.check": {"domain": "partner.example"},
        "dns.record": {"domain": "home.example"},
        "explain": {"uri": "sip:dave@partner.example"},
        "flows.show": {"id": flow},
        "help.search": {"text": "federation"},
        "help.show": {"topic": "nat"},
        "monitor.changes": {"seq": one["seq"]},
        "monitor.decision": {"seq": one["seq"]},
        "monitor.diff": {"a": one["seq"], "b": one["twin"] or one["seq"]},
        "monitor.export": {"format": "text"},
        "monitor.filter": {"filter": "method:INVITE"},
        "monitor.help": {"topic": "nat"},
        "monitor.ladder": {"call_id": one["call_id"]},
        "monitor.message": {"seq": one["seq"]},
    }


REFUSED = {
    "monitor.close": {"capture": "none"},
    "monitor.open": {"name": "x", "data_base64": "eA=="},
}
"""What cannot be answered as it is asked here: the form of the error is looked at."""
SELDOM = {"events"}
"""Streams of what may not happen for long."""


def test_the_document_is_valid(api):
    openapi_spec_validator.validate(api.document)


def test_every_answer_to_a_viewer_is_what_the_document_says(api, known):
    asked = 0
    for path, item in api.document["paths"].items():
        name = path.removeprefix("/api/")
        if "get" not in item or item["get"]["x-role"] != "viewer" or name in SELDOM:
            continue
        params = REFUSED.get(name) or known.get(name, {})
        named = {one["name"] for one in item["get"]["parameters"]}
        needed = {one["name"] for one in item["get"]["parameters"] if one["required"]}
        passing = name == "transactions.show"
        assert passing or needed <= params.keys() <= named, f"{name}: give values for {needed}"
        [(kind, content)] = item["get"]["responses"]["200"]["content"].items()
        if passing:
            status, answer = api.transaction()
        else:
            status, answer = api.get(name, params, first_line=kind.endswith("ndjson"))
        if name in REFUSED:
            schema = api.document["components"]["responses"][str(status)]["content"]
            assert status in (400, 404), answer
            api.fits(schema["application/json"]["schema"], answer)
        else:
            assert status == 200, (name, answer)
            try:
                api.fits(content["schema"], answer)
            except jsonschema.ValidationError as error:
                pytest.fail(f"{name}: {error.message} at {error.json_path}")
        asked += 1
    assert asked > 45


def test_an_error_has_the_form_that_the_document_says(api):
    for name, params, expected in (
        ("monitor.message", {"seq": "x"}, 400),
        ("monitor.message", {"seq": 99_999_999}, 404),
        ("no.such", {}, 404),
    ):
        status, answer = api.get(name, params)
        assert status == expected
        schema = api.document["components"]["responses"][str(status)]["content"]
        api.fits(schema["application/json"]["schema"], answer)

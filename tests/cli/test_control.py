"""``sipx control``: methods, schema, call."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import trio


async def test_methods_are_listed_with_their_marks(service):
    run = await service()
    found = (await run("control", "methods")).stdout
    names = [line.split()[0] for line in found.splitlines()[1:]]
    assert {"status", "reload*", "events~", "transactions.show"} <= set(names)
    listed = await run.json("control", "methods")
    assert {"name", "help", "stream", "changing", "role", "plugin"} == listed["methods"][0].keys()


async def test_the_schema_is_that_of_the_running_service(service):
    run = await service()
    found = await run("control", "schema")
    assert found.stderr == ""
    document = json.loads(found.stdout)
    assert "control.schema" in [method["name"] for method in document["methods"]]


def test_the_schema_without_a_service_is_without_plugins(line):
    found = line("control", "schema")
    assert found.exit_code == 0
    assert "the methods of plugins are not among these" in found.stderr
    document = json.loads(found.stdout)
    assert "status" in [method["name"] for method in document["methods"]]
    assert document["components"]["schemas"]["ProxyStatus"]


async def test_a_call_prints_its_result_as_json(service):
    run = await service()
    assert json.loads((await run("control", "call", "flows.list")).stdout)["total"] == 0
    found = await run("control", "call", "flows.list", '{"limit": 1}')
    assert json.loads(found.stdout)["flows"] == []


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("flwos.list",), 1, "there is no method 'flwos.list'; did you mean 'flows.list'?"),
        (("flows.list", '{"limit": 0}'), 1, "limit: "),
        (("flows.list", "{"), 2, "the parameters are not JSON"),
        (("flows.list", "7"), 2, "an object or a list"),
    ],
)
async def test_what_is_wrong_is_told(service, words, code, said):
    run = await service()
    found = await run("control", "call", *words)
    assert found.exit_code == code
    assert said in found.stderr


async def test_a_stream_is_printed_line_by_line(service, nursery):
    run = await service()
    command = [sys.executable, "-m", "sipx", "control", "call", "events"]
    process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE)

    async def report():
        while True:
            run.kernel.report("lab", "news")
            await trio.sleep(0.05)

    with trio.fail_after(60):
        async with process.stdout as pipe:
            nursery.start_soon(report)
            text = b""
            while b"\n" not in text:
                text += await pipe.receive_some()
        process.terminate()
        await process.wait()
    nursery.cancel_scope.cancel()
    event = json.loads(text.splitlines()[0])
    assert (event["plugin"], event["kind"], event["data"]) == ("lab", "str", "news")


@pytest.mark.parametrize(
    ("words", "plugin"),
    [
        (("metrics",), "metrics"),
        (("servers",), "registrar"),
        (("registrations",), "registrar"),
        (("lan", "bans"), "lan"),
        (("console", "url"), "monitor"),
    ],
)
async def test_a_command_of_a_plugin_that_the_service_does_not_have(service, words, plugin):
    run = await service()
    found = await run(*words)
    assert found.exit_code == 1
    assert (
        f"the running sipx does not have the plugin {plugin}; "
        f"`sipx plugins enable {plugin}` adds it" in found.stderr
    )
    assert "there is no method" not in found.stderr

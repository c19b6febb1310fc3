"""The OpenAPI document: every method is in it, and every reference leads somewhere."""

from __future__ import annotations

from typing import Any


def references(value: Any):
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def resolved(document: dict, reference: str) -> Any:
    found: Any = document
    for part in reference.removeprefix("#/").split("/"):
        found = found[part.replace("~1", "/").replace("~0", "~")]
    return found


async def document(console) -> dict:
    answer = await console.ask("GET", "/api/openapi.json", cookie=await console.log_on("viewer"))
    assert answer.status == 200
    return answer.json


async def test_every_method_is_in_it(console):
    found = await document(console)
    assert found["openapi"] == "3.1.0"
    methods = console.plugin._proxy.control.methods()
    assert set(found["paths"]) == {f"/api/{name}" for name in methods} - {
        "/api/control.unsubscribe"
    }
    for name, method in methods.items():
        if name == "control.unsubscribe":
            continue
        path = found["paths"][f"/api/{name}"]
        assert ("get" in path) is not method.changing
        assert path["post"]["x-role"] == method.role
        assert ("requestBody" in path["post"]) is (method.params is not None)
        content = path["post"]["responses"]["200"]["content"]
        kind = "application/x-ndjson" if method.stream else "application/json"
        assert set(content) == {kind}


async def test_every_reference_leads_somewhere(console):
    found = await document(console)
    links = set(references(found))
    assert len(links) > 50
    for link in links:
        assert isinstance(resolved(found, link), dict), link


async def test_it_knows_where_it_is_shown(start_console):
    console = await start_console(root_path="/sipx")
    assert (await document(console))["servers"] == [{"url": "/sipx"}]

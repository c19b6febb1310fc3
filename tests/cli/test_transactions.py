"""``sipx transactions`` as the operator sees it."""

from __future__ import annotations


async def ringing(run):
    """A call that rings."""
    home, away = run.stage.raw("home.example"), run.stage.raw("away.example")
    home.ask("INVITE", "sip:bob@away.example", call_id="call\u009b7")
    away.answer(await away.next("INVITE"), 180)
    await home.next(180)


async def test_the_list(service):
    run = await service()
    await ringing(run)
    found = await run("transactions")
    assert found.exit_code == 0
    head, row = found.stdout.splitlines()
    assert head.split() == ["id", "method", "state", "age", "from", "uri"]
    assert row.split()[1:3] == ["INVITE", "Proceeding"]
    assert "sip:bob@away.example" in row
    assert all(len(line) <= 80 for line in found.stdout.splitlines())


async def test_no_transaction(service):
    run = await service()
    found = await run("transactions")
    assert found.stdout.startswith("no transaction runs")
    assert await run.json("transactions") == {"transactions": [], "total": 0, "finished": 0}


async def test_a_list_that_is_cut_says_so(service):
    run = await service()
    for _ in range(2):
        await ringing(run)
    found = await run("transactions", "--limit", "1")
    assert found.stdout.splitlines()[-1] == "and 1 more; --limit shows more of them"


async def test_one_of_them_by_the_beginning_of_its_id(service):
    run = await service()
    await ringing(run)
    [listed] = (await run.json("transactions"))["transactions"]
    found = await run("transactions", listed["id"][:5])
    lines = {line.split("  ")[0]: line for line in found.stdout.splitlines()}
    assert lines["id"].split() == ["id", listed["id"]]
    assert lines["state"].split() == ["state", "Proceeding"]
    assert "C in 3 min" in lines["timers"]
    assert lines["call-id"].endswith("call\\x9b7")
    assert "udp:127.0.2.2:5060" in found.stdout.splitlines()[-1]
    whole = await run.json("transactions", listed["id"])
    assert whole["tried"][0]["state"] == "Proceeding"


async def test_one_that_is_not_there_is_1_and_a_sentence(service):
    run = await service()
    found = await run("transactions", "abcdef")
    assert (found.exit_code, found.stdout) == (1, "")
    assert "there is no transaction 'abcdef', or it has ended" in found.stderr


async def test_an_id_that_is_too_short_is_told_by_the_service(service):
    run = await service()
    found = await run("transactions", "a")
    assert found.exit_code == 1
    assert "id: " in found.stderr

"""``sipx flows`` as the operator sees it."""

from __future__ import annotations


async def talked(run):
    """One message went through."""
    home, away = run.stage.raw("home.example"), run.stage.raw("away.example")
    home.ask("MESSAGE", "sip:bob@away.example")
    away.answer(await away.next("MESSAGE"), 200)
    await home.next(200)


async def test_the_list(service):
    run = await service()
    await talked(run)
    found = await run("flows")
    assert found.exit_code == 0
    head, towards, came = found.stdout.splitlines()
    assert head.split()[:3] == ["id", "interface", "peer"]
    assert towards.split()[1:3] == ["udp", "udp:127.0.2.2:5060"]
    assert came.split()[1:3] == ["udp", "udp:127.0.2.1:5060"]
    assert (await run.json("flows"))["total"] == 2


async def test_no_flow(service):
    run = await service()
    assert (await run("flows")).stdout == "no flow is open\n"


async def test_a_list_that_is_cut_says_so(service):
    run = await service()
    await talked(run)
    found = await run("flows", "--limit", "1")
    assert found.stdout.splitlines()[-1] == "and 1 more; --limit shows more of them"


async def test_those_of_an_interface(service):
    run = await service()
    await talked(run)
    assert (await run("flows", "--interface", "tcp")).stdout == "no flow is open\n"
    found = await run("flows", "--interface", "nope")
    assert found.exit_code == 1
    assert "there is no interface 'nope'; known: udp, tcp" in found.stderr


async def test_one_of_them(service):
    run = await service()
    await talked(run)
    found = (await run("flows", "1")).stdout.splitlines()
    assert ["peer", "udp:127.0.2.1:5060"] in [line.split() for line in found]
    assert ["messages", "1 in, 1 out"] in [line.split(maxsplit=1) for line in found]
    assert (await run.json("flows", "1"))["bound"] == "127.0.0.1 port 5060"
    gone = await run("flows", "99")
    assert gone.exit_code == 1
    assert "there is no flow 99, or it has ended" in gone.stderr

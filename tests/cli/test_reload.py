"""``sipx reload`` as the operator sees it."""

from __future__ import annotations

import tomllib

import tomlkit


def edit(run, **tables):
    """Change tables of the running service's file."""
    path = run.kernel.settings.path
    values = tomllib.loads(path.read_text())
    path.write_text(tomlkit.dumps({**values, **tables}))
    return values


async def test_it_tells_what_is_different(service):
    run = await service()
    edit(run, limits={"max_transactions": 7})
    planned = await run("reload", "--plan")
    assert (planned.exit_code, planned.stdout) == (0, "added: limits.max_transactions\n")
    assert run.kernel.transactions.limit == 200_000
    found = await run.json("reload")
    assert found["reloaded"] is True
    assert found["plan"]["added"] == ["limits.max_transactions"]
    assert run.kernel.transactions.limit == 7
    again = await run("reload")
    assert (again.exit_code, again.stdout) == (0, "nothing is different\n")


async def test_an_invalid_file_is_3_with_every_problem_and_its_line(service):
    run = await service()
    edit(run, limits={"max_transactoins": 7, "routes": -1})
    found = await run("reload")
    path = run.kernel.settings.path
    assert (found.exit_code, found.stdout) == (3, "")
    said = found.stderr.splitlines()
    assert len(said) == 3
    assert all(line.startswith(f"sipx: {path}:") for line in said[:2])
    assert "did you mean 'max_transactions'?" in found.stderr
    assert said[-1] == "sipx: not reloaded; the old configuration runs on"
    assert (await run("reload", "--plan")).exit_code == 3


async def test_what_the_service_cannot_take_up_is_1_and_the_old_runs_on(service, monkeypatch):
    from sipx.errors import ReloadError

    run = await service()

    async def refuse():
        raise ReloadError("interface more: cannot listen\x1b on it")

    monkeypatch.setattr(run.kernel, "reload", refuse)
    found = await run("reload")
    assert found.exit_code == 1
    assert found.stderr.splitlines() == [
        "sipx: interface more: cannot listen\\x1b on it",
        "sipx: not reloaded; the old configuration runs on",
    ]


def test_without_a_service_it_is_4(line):
    assert line("reload").exit_code == 4

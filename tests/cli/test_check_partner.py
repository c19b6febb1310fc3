"""``sipx check partner``: a command of its own beside the areas of ``sipx check``."""

from __future__ import annotations

import json

A, B = "a.example", "b.example"


async def test_the_way_to_a_partner_on_the_screen(sites, beside):
    a = await sites.site(A)
    await sites.site(B)
    run = await beside(a)
    found = await run("check", "partner", B)
    assert found.exit_code == 0, found.output
    lines = found.stdout.splitlines()
    assert lines[:2] == ["b.example, b.example (discovered)", "walked by the running sipx"]
    assert lines[-1] == "A message would get there."
    assert any(line.startswith("  ok       tcp       ") for line in lines)
    assert any(line.startswith("  no       rfc5922   ") for line in lines)
    assert " ms)" in found.stdout
    assert all(len(line) <= 80 for line in lines)
    told = await run.json("check", "partner", B)
    assert told["good"] is True
    assert {step["name"] for step in told["steps"]} >= {"srv", "tcp", "tls", "eku", "options"}
    told = json.loads((await run("check", "--json", "partner", B)).stdout)
    assert told["good"] is True


async def test_what_fails_ends_with_the_code_for_it(sites, beside):
    a = await sites.site(A)
    await sites.site(B, names=("other.example",))
    run = await beside(a)
    found = await run("check", "partner", B)
    assert found.exit_code == 1
    assert "FAILED   identity" in found.stdout
    assert "the first step that failed: identity." in found.stdout
    sites.dns.fail(f"_sipfederationtls._tcp.{B}")
    await run("dns", "cache", "flush")
    assert (await run("check", "partner", B)).exit_code == 75
    found = await run("check", "partner", A)
    assert (found.exit_code, "sipx dns check a.example" in found.stderr) == (2, True)


async def test_without_a_running_proxy_the_command_walks_itself(sites, beside, federated):
    await sites.site(B)
    federated(A)
    found = await beside.alone("check", "partner", B)
    assert "walked by this command; no sipx is asked" in found.stdout
    assert "  ok       identity" in found.stdout


def test_it_is_no_area(line, two_domains):
    found = line("check", "ports", "partner")
    assert (found.exit_code, "there is no area 'partner'" in found.stderr) == (2, True)
    found = line("check", "--only", "partner")
    assert found.exit_code == 2
    assert "DOMAIN" in line("check", "partner", "--help").output
    assert "| partner DOMAIN" in line("check", "--help").output

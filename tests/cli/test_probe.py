"""``sipx probe``: what is on the screen, and the exit code that stands for it."""

from __future__ import annotations

import pytest

from sipx.cli.probe import _lines
from sipx.control.probe import ProbeResult, ProbeTimes, ProbeTls, ProbeTry

A, B = "a.example", "b.example"


async def test_the_running_proxy_sends_it(sites, beside):
    a = await sites.site(A)
    await sites.site(B, names=("b.example", "sip.b.example"))
    run = await beside(a)
    found = await run("probe", B)
    assert found.exit_code == 0, found.output
    lines = found.stdout.splitlines()
    assert lines[:2] == ["OPTIONS sip:b.example", "sent:   by the running sipx"]
    assert "(b.example (discovered)), over a new connection" in " ".join(found.stdout.split())
    assert "proven: by rfc5922: it names b.example" in lines
    assert "answer: 200 OK" in lines
    assert "        it answers: the way works" in lines
    assert lines[-1].startswith("took:   way and DNS ")
    assert all(len(line) <= 80 for line in lines)
    assert "over a connection that was open" in " ".join((await run("probe", B)).stdout.split())
    told = await run.json("probe", B)
    assert (told["live"], told["good"], told["tls"]["profile"]) == (True, True, "rfc5922")


async def test_without_one_a_connection_of_its_own_is_made_which_is_said(sites, beside, federated):
    await sites.site(B)
    federated(A)
    found = await beside.alone("probe", f"sip:nobody@{B}")
    said = " ".join(found.stdout.split())
    assert "sent: by this command, over a connection of its own: no sipx is asked" in said
    # Our own domain is not in the DNS: so it is told by the partner, whose certificate is good.
    assert "proven: by ms-suffix: it names sip.b.example" in said
    assert "answer: 403" in said
    assert found.exit_code == 1


async def test_what_is_not_sent_ends_with_the_code_for_it(sites, beside):
    a = await sites.site(A)
    run = await beside(a)
    found = await run("probe", "x@none.example")
    assert found.exit_code == 1
    assert "answer: not sent: no route to domain" in found.stdout
    assert "answered with 404 (row 8)" in " ".join(found.stdout.split())
    sites.dns.fail(f"_sipfederationtls._tcp.{B}")
    assert (await run("probe", f"x@{B}")).exit_code == 75
    found = await run("probe", A)
    assert (found.exit_code, "answer: 200: that is this proxy itself" in found.stdout) == (0, True)
    assert (await run("probe", "sip:")).exit_code == 2


@pytest.fixture
def result():
    """Something that was tried in vain, changed as a test wants it."""

    def make(**more):
        known = {
            "live": True,
            "uri": "sip:b.example",
            "sent": True,
            "status": 503,
            "reason": "",
            "why": "it closed the connection",
            "remedy": "look at its log",
            "row": 8,
            "good": False,
            "temporary": False,
            "target": "b.example (discovered)",
            "place": "mtls:192.0.2.1:5061",
            "interface": "far",
            "reused": True,
            "tls": None,
            "server": "",
            "allow": (),
            "supported": (),
            "meaning": (),
            "tried": (),
            "times": ProbeTimes(),
        }
        return ProbeResult(**{**known, **more})

    return make


def test_no_answer_is_told_with_what_to_do(result):
    tried = ProbeTry(name="mtls:192.0.2.2:5061", why="refused", remedy="compare the port")
    lines = list(_lines(result(tried=(tried,))))
    assert "tried:  mtls:192.0.2.2:5061: refused" in lines
    assert "        compare the port" in lines
    assert any("no answer: it closed the connection" in line for line in lines)
    assert "        look at its log" in lines
    assert not any(line.startswith("took") for line in lines)


def test_everything_it_says_of_itself_is_told(result):
    tls = ProbeTls(
        version="TLSv1.2",
        cipher="X",
        certificate="subject CN=b",
        names=(),
        profile="direct",
        name="",
        weakness="a wildcard says so",
        shown="",
    )
    answer = result(
        status=200,
        reason="OK",
        why="",
        good=True,
        tls=tls,
        server="Edge/7",
        allow=("INVITE", "OPTIONS"),
        supported=("path",),
        meaning=("it answers",),
    )
    lines = "\n".join(_lines(answer))
    for said in (
        "200 OK, from Edge/7",
        "allows: INVITE, OPTIONS",
        "knows:  path",
        "speaks for no domain",
        "proven: by direct: its key is pinned; a wildcard says so",
    ):
        assert said in lines
    bare = tls.model_copy(update={"certificate": "", "version": "", "profile": ""})
    assert "cert:   it showed none" in list(_lines(result(tls=bare)))

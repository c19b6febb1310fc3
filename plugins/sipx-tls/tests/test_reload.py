"""A reload, as connections over TLS see it."""

from __future__ import annotations

import pytest
import trio

from sipx import ReloadError

HOME, AWAY, OTHER = "home.example", "away.example", "other.example"
MTLS = {"server": "127.0.0.9", "protocol": "mtls"}


def routes(lab, **more):
    uc = {"server": "127.0.0.3", "port": lab.home.place[1], "trusted": True}
    return {"route": {HOME: uc, **{name.replace("_", "."): row for name, row in more.items()}}}


async def ended(peer):
    """The proxy has closed the connection."""
    with pytest.raises(trio.BrokenResourceError):
        await peer.next()


async def test_connections_last_while_routes_of_others_come_and_go(lab):
    await lab.run()
    lab.files("away", AWAY)
    peer = await lab.connect("away")
    assert await peer.status() == 200
    await lab.proxy.reload(**{"static-routes": routes(lab, away_example=MTLS, other_example=MTLS)})
    assert await peer.status() == 200
    await lab.proxy.reload(**{"static-routes": routes(lab, away_example=MTLS)})
    assert await peer.status() == 200


async def test_a_connection_ends_when_its_route_is_taken_away(lab):
    await lab.run()
    lab.files("away", AWAY)
    peer = await lab.connect("away")
    assert await peer.status() == 200
    await lab.proxy.reload(**{"static-routes": routes(lab)})
    assert await peer.status() in (403, "closed")
    await ended(peer)


async def test_a_connection_ends_when_its_certificate_is_no_longer_the_pinned_one(lab):
    await lab.run()
    lab.files("away", AWAY)
    peer = await lab.connect("away")
    assert await peer.status() == 200
    pinned = {**MTLS, "pins": ["00" * 32]}
    await lab.proxy.reload(**{"static-routes": routes(lab, away_example=pinned)})
    await ended(peer)
    again = await lab.connect("away")
    assert await again.status() == 403


async def test_another_certificate_is_shown_to_who_comes_next(lab):
    await lab.run()
    lab.files("away", AWAY)
    first = await lab.connect("away")
    assert await first.status() == 200
    tables = lab.proxy.kernel.settings.document.values()
    files = dict(zip(("cert_file", "key_file"), lab.files("new", f"new.{HOME}"), strict=True))
    far = {**tables["interface"]["far"], "certificate": "new"}
    plan = await lab.proxy.reload(
        certificate={**tables["certificate"], "new": files},
        interface={**tables["interface"], "far": far},
    )
    assert plan.rebind == ()
    second = await lab.connect("away")
    assert await second.status() == 200
    names = [dict(peer.stream.getpeercert())["subjectAltName"] for peer in (first, second)]
    assert names == [(("DNS", f"sip.{HOME}"),), (("DNS", f"new.{HOME}"),)]
    assert await first.status() == 200


async def test_the_oldest_version_of_tls_changes_for_who_comes_next(lab):
    await lab.run()
    lab.files("away", AWAY)
    trust = dict(lab.proxy.kernel.settings.document.values()["trust"])
    first = await lab.connect("away")
    assert await first.status() == 200
    await lab.proxy.reload(trust={**trust, "min_tls": "1.3"})
    assert lab.proxy.kernel.certificates.min_tls == "1.3"
    second = await lab.connect("away")
    assert await second.status() == 200
    assert second.stream.version() == "TLSv1.3"


async def test_authorities_that_cannot_be_read_refuse_the_reload(lab, tmp_path):
    await lab.run()
    lab.files("away", AWAY)
    peer = await lab.connect("away")
    assert await peer.status() == 200
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    with pytest.raises(ReloadError, match=r"trust \[trust\]: "):
        await lab.proxy.reload(trust={"ca": str(empty)})
    assert await peer.status() == 200
    assert await (await lab.connect("away")).status() == 200

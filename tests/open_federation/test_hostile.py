"""What a stranger with a certificate and a DNS of his own may try, and what becomes of it."""

from __future__ import annotations

import hashlib

import pytest
import trio
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sipx.testing import Authority

from .lab import ADA, AWAY, BOB, EVIL, OTHER, SERVICE, why

# ---------------------------------------------------------------- trust of a partner's own


def pin_of(issued):
    public = issued.key.public_key()
    spki = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).hexdigest()


async def test_an_authority_of_a_partner_proves_that_partner_and_nobody_else(lab):
    """[open-federation.partner] ca: its own authority takes the place of [trust], for it alone."""
    private = Authority("Private CA")
    file = private.write(lab.directory, "private")
    lab.publish(AWAY, f"sip.{AWAY}", 5061, "127.0.0.9")
    lab.publish(EVIL, EVIL, 5061, "127.0.0.66")
    await lab.run(partner={AWAY: {"ca": [str(file)]}})
    right = await lab.edge(AWAY, f"sip.{AWAY}", issuer=private)
    assert (await right.message(ADA, "hello")).status == 200
    # The private authority certifies somebody else.
    both = await lab.edge(EVIL, f"sip.{AWAY}", EVIL, issuer=private)
    response = await both.message(ADA, "hello", sender=f"sip:x@{EVIL}")
    assert response.status == 403
    assert "no authority of [trust] vouches for it" in why(response)
    # A public authority certifies the partner's name.
    public = await lab.edge(AWAY, AWAY, f"sip.{AWAY}")
    response = await public.message(ADA, "hello")
    assert response.status == 403
    assert "it does not pass by the authorities, pins or eku_policy" in why(response)
    assert lab.ada.received["MESSAGE"] == 1


async def test_a_pinned_partner_is_nobody_with_another_key(lab):
    certs = lab.ca.leaf(dns=[f"sip.{AWAY}"])
    bob = await lab.published(AWAY, certs=certs.write(lab.directory, "pinned"))
    await lab.run(partner={AWAY: {"pins": [pin_of(certs)]}, OTHER: {"pins": ["00" * 32]}})
    lab.reach(bob)
    assert (await bob.message(ADA, "hello")).status == 200
    assert (await lab.ada.message(BOB, "hello")).status == 200
    eve = await lab.edge(AWAY, AWAY, f"sip.{AWAY}", OTHER)
    for domain in (AWAY, OTHER):
        response = await eve.message(ADA, "hello", sender=f"sip:x@{domain}")
        assert response.status == 403
    lab.publish(OTHER, OTHER, eve.place[1], eve.place[0])
    lab.proxy.kernel.resolver.flush()
    response = await lab.ada.message(f"sip:x@{OTHER}", "secret")
    assert response.status == 502
    assert "none of the pinned ones" in why(response)
    assert not eve.received["MESSAGE"]


# ---------------------------------------------------------------- words of strangers

NASTY = 'x"\\\r\nVia: SIP/2.0/TLS evil.example\x1b[31m'


@pytest.mark.parametrize("inward", [True, False])
async def test_what_a_certificate_calls_itself_stays_in_its_sentence(lab, inward, caplog):
    """SEC-18: names in certificates are text of strangers; a Warning is one quoted line."""
    caplog.set_level("INFO", "sipx")
    eve = await lab.published(AWAY, f"sip.{EVIL}", target=f"sip.{AWAY}", cn=NASTY)
    await lab.run()
    lab.reach(eve)
    if inward:
        response = await eve.message(ADA, "hello", sender=BOB)
    else:
        response = await lab.ada.message(BOB, "hello")
    assert response.status in (403, 502)
    [warning] = response.get_all(b"Warning")
    assert warning.startswith(b'399 sipx "')
    assert warning.endswith(b'"')
    assert len(response.get_all(b"Via")) == 1
    assert b"\x1b" not in response.encode()
    assert not any("\x1b" in record.getMessage() for record in caplog.records)
    assert not any("\n" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("target", [r"a\"b", r"\013\010x", "xn--80ak6aa92e", "a" * 63, "_sip"])
async def test_what_the_dns_calls_a_host_stays_in_its_sentence(lab, target):
    lab.record(f"{SERVICE}.{AWAY}. IN SRV 0 0 5061 {target}.{AWAY}.")
    await lab.run()
    response = await lab.ada.message(BOB, "hello")
    assert response.status in (403, 404, 504), why(response)
    [warning] = response.get_all(b"Warning")
    assert warning.startswith(b'399 sipx "')
    assert warning.endswith(b'"')
    assert not set(warning) & set(range(32))


async def test_an_endless_chain_of_aliases_ends(lab):
    lab.record(f"{SERVICE}.{AWAY}. IN CNAME {SERVICE}.{EVIL}.")
    lab.record(f"{SERVICE}.{EVIL}. IN CNAME {SERVICE}.{AWAY}.")
    await lab.run()
    response = await lab.ada.message(BOB, "hello")
    assert response.status in (404, 504)


async def test_an_alias_gives_no_proof_of_the_domain_that_it_leads_to(lab):
    """evil.example says that its federation is that of away.example: that proves nothing."""
    bob = await lab.published(AWAY)
    lab.record(f"{SERVICE}.{EVIL}. IN CNAME {SERVICE}.{AWAY}.")
    await lab.run()
    lab.reach(bob)
    response = await lab.ada.message(f"sip:x@{EVIL}", "hello")
    assert response.status == 502
    response = await bob.message(ADA, "hello", sender=f"sip:x@{EVIL}")
    assert response.status == 403
    assert not bob.received["MESSAGE"]


# ---------------------------------------------------------------- floods


async def test_many_targets_are_not_many_connections(lab):
    """Whoever publishes a hundred servers makes us knock at a few doors, not at all of them."""
    knocks = []

    async def listen(stream):
        knocks.append(stream.socket.getpeername())
        await stream.receive_some()

    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.66")
    port = listener.socket.getsockname()[1]
    lab.nursery.start_soon(trio.serve_listeners, listen, [listener])
    for number in range(30):
        lab.publish(EVIL, f"s{number}.{EVIL}", port, "127.0.0.66", priority=number)
    await lab.run(extra={"limits": {"connect_timeout": 1}})
    response = await lab.ada.message(f"sip:x@{EVIL}", "hello")
    assert response.status in (502, 503, 504, 500), why(response)
    assert 1 <= len(knocks) <= 8


async def test_subscriptions_that_share_a_call_id_disturb_nobody(lab):
    """Call-IDs are the choice of who subscribes: two domains of one stranger use the same."""
    lab.publish(EVIL, f"sip.{EVIL}", 5061, "127.0.0.66")
    await lab.run()
    eve = await lab.edge(EVIL, EVIL, OTHER, user="eve")
    for expires in (b"3600", b"0", b"0"):
        for domain in (EVIL, OTHER):
            headers = (
                (b"Event", b"presence"),
                (b"Expires", expires),
                (b"Contact", b"<" + eve.contact + b">"),
            )
            request = eve.new("SUBSCRIBE", ADA, sender=f"sip:eve@{domain}", headers=headers)
            request.replace(b"Call-ID", b"the-same")
            assert (await eve.send(request)).status == 200
    assert (await eve.message(ADA, "hello", sender=f"sip:x@{OTHER}")).status == 200


async def test_a_telephone_number_in_to_is_no_fault_of_ours(lab, caplog):
    """Where domains are blocked, To is looked at as well; a tel: URI has none."""
    await lab.run(deny=["blocked.example"])
    eve = await lab.edge(EVIL, EVIL)
    host, port = lab.proxy.place("federation")
    request = eve.new(
        "MESSAGE", ADA, headers=[(b"Route", f"<sip:{host}:{port};transport=tls;lr>".encode())]
    )
    request.replace(b"To", b"<tel:+49301234>")
    assert (await eve.send(request)).status == 200
    assert not [record for record in caplog.records if record.exc_info]

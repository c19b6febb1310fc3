"""Certificates that somebody has tampered with: refused in words, whatever they hold.

OpenSSL takes certificates that cryptography cannot read, and reads some of it only when asked. A
stranger must not be able to raise anything but TlsError with what is inside his.
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from OpenSSL import SSL, crypto

from sipx.identity import Partner
from sipx.testing.certificates import Authority
from sipx.tls import TlsError

from .strangers import Stranger

PINNED = Partner("away.example", pins=frozenset({"00" * 32}))


def peer_with(lab, der, key):
    """A client that shows these bytes as its certificate; None if OpenSSL itself will not."""
    context = SSL.Context(SSL.TLS_METHOD)
    try:
        context.use_certificate_file(str(lab.path(der)), crypto.FILETYPE_ASN1)
        context.use_privatekey(key)
    except SSL.Error:
        return None
    peer = Stranger()
    peer.connection = SSL.Connection(context, None)
    peer.connection.set_connect_state()
    return peer


@pytest.fixture(scope="module")
def issued():
    return Authority("Lab CA").leaf(dns=["sip.away.example"], uris=["sip:away.example"])


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    changes=st.lists(
        st.tuples(st.integers(0, 599), st.sampled_from([0, 1, 12, 13, 23, 24, 48, 160, 255])),
        min_size=1,
        max_size=3,
    ),
    pinned=st.booleans(),
)
def test_a_certificate_with_other_bytes_raises_nothing_but_tls_error(lab, issued, changes, pinned):
    der = bytearray(issued.certificate.public_bytes(Encoding.DER))
    for place, value in changes:
        der[place % len(der)] = value
    peer = peer_with(lab, bytes(der), issued.key)
    if peer is None:
        return
    tls = lab.tls(partners=(PINNED,) if pinned else ())
    with pytest.raises(TlsError):
        lab.accept(peer, tls=tls)


@pytest.mark.parametrize("accepting", [True, False])
def test_what_cannot_be_read_is_told_so(lab, accepting):
    issued = lab.ca.leaf(dns=["away.example"])
    der = issued.certificate.public_bytes(Encoding.DER)
    begins = issued.certificate.not_valid_before_utc.strftime("%y%m%d").encode()
    thirteenth = der.replace(begins, begins[:2] + b"13" + begins[4:])
    assert thirteenth != der
    peer = peer_with(lab, thirteenth, issued.key)
    if not accepting:
        peer.connection.set_accept_state()
    away = Partner("away.example", names=frozenset({b"away.example"}))
    with pytest.raises(TlsError, match="a certificate of it cannot be read"):
        lab.accept(peer) if accepting else lab.connect(peer, away)


def test_no_trace_of_it_is_kept(lab):
    """What the examiner remembers has bounds, and nothing unreadable is among it."""
    tls = lab.tls()
    before = SimpleNamespace(found=len(tls.examiner._found), chains=len(tls.examiner._chains))
    issued = Authority("Else").leaf(dns=["away.example"])
    with pytest.raises(TlsError):
        lab.accept(Stranger(issued), tls=tls)
    assert (len(tls.examiner._found), len(tls.examiner._chains)) == (before.found, before.chains)

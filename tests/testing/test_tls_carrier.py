"""The carrier of testing peers over TLS, against itself."""

from __future__ import annotations

import pytest
import trio

from sipx.testing import Authority, NoAnswerError, TlsCarrier, UserAgent, running


def carrier(directory, name, ca, *, believes="ca"):
    cert_file, key_file = ca.leaf(dns=[f"{name}.example"]).write(directory, name)
    return TlsCarrier(
        "127.0.0.1", 0, cert_file=cert_file, key_file=key_file, ca=directory / f"{believes}.crt"
    )


async def test_two_agents_talk_over_mutual_tls(tmp_path):
    ca = Authority()
    ca.write(tmp_path)
    one = UserAgent("sip:ada@one.example", carrier(tmp_path, "one", ca))
    two = UserAgent("sip:bob@two.example", carrier(tmp_path, "two", ca))
    async with running(one), running(two):
        one.proxy = two.place
        assert (await one.message("sip:bob@two.example", "hello")).status == 200
        assert one.contact.endswith(b";transport=tls")


async def test_a_stranger_is_refused_and_both_sides_know_why(tmp_path):
    ca, other = Authority(), Authority("Somebody else")
    ca.write(tmp_path)
    other.write(tmp_path, "other")
    one = UserAgent("sip:ada@one.example", carrier(tmp_path, "one", other))
    two = UserAgent("sip:bob@two.example", carrier(tmp_path, "two", ca))
    async with running(one), running(two):
        two.proxy = one.place
        with pytest.raises(NoAnswerError, match="certificate verify failed"):
            await two.message("sip:ada@one.example", "hello")
        with trio.fail_after(5):
            while not one.carrier.refused:  # nobody tells when
                await trio.lowlevel.checkpoint()
        [(_, reason)] = one.carrier.refused
        assert reason

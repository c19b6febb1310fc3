"""The fixtures sipx_proxy and sipx_on_loopback: a real kernel, and peers on both sides of it."""

import pytest
import trio
from sipx.config.errors import ConfigError
from sipx.testing.asking import NoAnswerError
from sipx.testing.sessions import RefusedError


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_message_passes_in_memory(sipx_proxy, autojump_clock, transport):
    proxy = await sipx_proxy()
    home = proxy.peer("home.example", transport=transport)
    away = proxy.peer("away.example", transport=transport)
    assert (await away.message("sip:bob@home.example", "hello")).status == 200
    request = await home.receive("MESSAGE")
    assert request.body == b"hello"
    assert len(request.vias) == 2

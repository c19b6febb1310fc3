import pytest
import trio

from sipx.config import ConfigError
from sipx.testing import check_plugin


@pytest.fixture
def listed(tmp_path):
    path = tmp_path / "blocked.txt"
    path.write_text("evil.example\n*.evil.example\n")
    return path


async def test_a_listed_domain_is_refused_until_the_file_forgets_it(
    sipx_proxy, listed, autojump_clock
):
    proxy = await sipx_proxy(blocklist={"path": listed, "reload": 5})
    home, evil = proxy.peer("home.example"), proxy.peer("evil.example")
    assert (await evil.message("sip:bob@home.example", "hello")).status == 403
    assert home.received["MESSAGE"] == 0

    listed.write_text("other.example\n")
    await trio.sleep(6)  # the clock jumps; no real second passes
    assert (await evil.message("sip:bob@home.example", "hello")).status == 200


async def test_a_pattern_covers_what_is_below_a_domain(sipx_proxy, listed, autojump_clock):
    proxy = await sipx_proxy(blocklist={"path": listed})
    deep, good = proxy.peer("very.evil.example"), proxy.peer("good.example")
    proxy.peer("home.example")
    assert (await deep.message("sip:bob@home.example", "hello")).status == 403
    assert (await good.message("sip:bob@home.example", "hello")).status == 200


async def test_a_file_that_vanishes_leaves_the_old_list(sipx_proxy, listed, autojump_clock, caplog):
    proxy = await sipx_proxy(blocklist={"path": listed, "reload": 5})
    evil = proxy.peer("evil.example")
    listed.unlink()
    await trio.sleep(6)
    assert (await evil.message("sip:bob@home.example", "hello")).status == 403
    assert "the old list stays" in caplog.text


async def test_a_typo_in_the_table_names_the_key(sipx_proxy):
    with pytest.raises(ConfigError, match=r"blocklist\.pth: unknown key 'pth'.*'path'"):
        await sipx_proxy(blocklist={"pth": "x"})


def test_the_contract_of_plugins(listed):
    check_plugin("blocklist", blocklist={"path": listed})

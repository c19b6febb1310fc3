"""What operators see of servers and make them do: drain, maintenance, resume, reloads, status."""

from __future__ import annotations

import json

import pytest
import trio
from click.testing import CliRunner
from sipx_registrar.bindings import logon_place
from sipx_registrar.orders import Orders
from sipx_registrar.servers_commands import servers as command
from sipx_registrar.servers_control import ServerMethods
from sipx_registrar.servers_state import ServerParams, ServersParams
from sipx_registrar.states import Order

from sipx import Binding, BindingChange, Caller, ControlError, SenderKind

from .uc import HOME, Site, settle

LEA = Caller("lea")


@pytest.fixture(autouse=True)
def without_threads(monkeypatch):
    """A clock that jumps would run away while a thread writes."""

    async def save(orders, wanted):
        orders._write(wanted)

    monkeypatch.setattr(Orders, "_save", save)


@pytest.fixture
async def site(sipx_proxy, nursery):
    proxy = await sipx_proxy(registrar={"store": "memory"})
    return Site(proxy, nursery)


@pytest.fixture
def methods(site):
    return ServerMethods(site.servers)


async def command_of(methods, what, name):
    return await getattr(methods, what)(ServerParams(name=name), LEA)


async def test_draining_keeps_dialogs_and_takes_no_new_ones_that_others_may_serve(
    site, methods, autojump_clock
):
    berlin = site.server("berlin", users=["alice", "carol"])
    munich = site.server("munich", users=["carol"])
    await berlin.log_on("alice", "carol")
    await munich.log_on()
    subscription = await site.partner.subscribe(f"sip:carol@{HOME}")
    found = await command_of(methods, "drain", "berlin")
    assert found.state == "draining"
    assert await site.status("carol") == 200
    assert await site.status("alice") == 200
    assert (berlin.got(), munich.got()) == (1, 1)
    await subscription.refresh()
    assert berlin.got("SUBSCRIBE") == 2
    await command_of(methods, "resume", "berlin")
    assert berlin.state == "up"
    assert await site.status("carol") == 200
    assert berlin.got() == 2


async def test_maintenance_closes_connections_and_lets_nobody_in_until_resume(
    site, methods, autojump_clock
):
    berlin = site.server("berlin")
    own = await berlin.log_on("alice")
    subscription = await site.partner.subscribe(f"sip:alice@{HOME}")
    found = await command_of(methods, "disconnect", "berlin")
    assert found.state == "maintenance"
    assert found.flows == ()
    await settle()
    assert await site.status() == 480
    refused = await own.register()
    assert refused.status == 503
    assert refused.get(b"Retry-After") == b"30"
    request = subscription.dialog.request(b"SUBSCRIBE", ((b"Event", b"presence"),))
    assert (await site.partner.send(request)).status == 480
    await command_of(methods, "resume", "berlin")
    await own.refresh()
    await trio.sleep(5)
    assert berlin.state == "up"
    assert await site.status() == 200


async def test_one_that_was_disconnected_is_called_back(site, autojump_clock):
    berlin = site.server("berlin")
    await berlin.log_on("alice")
    await site.servers.command(berlin.server, Order.MAINTENANCE, "a test")
    await trio.sleep(20)
    assert berlin.server.ways == []
    await site.servers.command(berlin.server, Order.SERVE, "a test")
    assert "a test" not in berlin.server.why
    await trio.sleep(10)
    assert berlin.state == "up"
    assert await site.status() == 200


async def test_sipx_does_not_connect_to_a_server_in_maintenance(site, methods, autojump_clock):
    berlin = site.server("berlin", listens=True)
    await berlin.start()
    await trio.sleep(5)
    await command_of(methods, "disconnect", "berlin")
    await trio.sleep(60)
    assert berlin.server.ways == []
    await command_of(methods, "resume", "berlin")
    await trio.sleep(40)
    assert berlin.state == "up"


async def test_orders_outlive_a_restart(site, methods, autojump_clock):
    site.server("berlin")
    await command_of(methods, "disconnect", "berlin")
    file = site.servers.proxy.state_dir / "servers.json"
    assert json.loads(file.read_text()) == {"berlin": "maintenance"}
    again = Orders(site.servers.proxy)
    again.load()
    assert again.of("berlin").value == "maintenance"
    await command_of(methods, "resume", "berlin")
    assert json.loads(file.read_text()) == {}


async def test_a_damaged_file_of_orders_is_told_of_and_all_serve(site, caplog, autojump_clock):
    (site.servers.proxy.state_dir / "servers.json").write_text('{"berlin": "dancing"}')
    again = Orders(site.servers.proxy)
    again.load()
    assert again.of("berlin").value == "serve"
    assert "damaged" in caplog.text


async def test_an_order_that_cannot_be_kept_is_not_taken(site, methods, autojump_clock):
    berlin = site.server("berlin")
    await berlin.log_on()
    (site.servers.proxy.state_dir / "servers.new").mkdir()
    with pytest.raises(ControlError, match="nothing is changed"):
        await command_of(methods, "drain", "berlin")
    assert berlin.state == "up"


async def test_the_list_shows_what_is_known(site, methods, autojump_clock):
    berlin = site.server("berlin", weight=3)
    site.server("munich", users=["*.bayern"])
    await berlin.log_on("alice")
    await trio.sleep(5)
    for _ in range(4):
        await site.message()
    first, second = methods.list(ServersParams()).servers
    assert (first.name, first.state, first.users, first.weight) == ("berlin", "up", 1, 3)
    assert first.address == berlin.address
    assert first.flow.startswith("tcp:127.0.2.1:")
    assert first.flows[0].logon
    assert first.requests == 4
    assert first.share == 1.0
    assert first.pings == first.pongs == 1
    assert (second.name, second.state, second.serves) == ("munich", "never seen", ("*.bayern",))
    (only,) = methods.list(ServersParams(name="munich")).servers
    assert only.name == "munich"


async def test_the_share_is_that_of_the_last_minute(site, methods, autojump_clock):
    berlin, munich = site.server("berlin"), site.server("munich")
    await berlin.log_on("alice")
    await munich.log_on("bob")
    for _ in range(3):
        await site.message("alice")
    await site.message("bob")
    shares = {one.name: one.share for one in methods.list(ServersParams()).servers}
    assert shares == {"berlin": 0.75, "munich": 0.25}
    await trio.sleep(80)
    await site.message("bob")
    shares = {one.name: one.share for one in methods.list(ServersParams()).servers}
    assert shares == {"berlin": 0.0, "munich": 1.0}


async def test_a_name_that_is_none_is_answered_with_the_one_that_was_meant(
    site, methods, autojump_clock
):
    site.server("berlin")
    with pytest.raises(ControlError, match="did you mean 'berlin'"):
        await command_of(methods, "drain", "berln")
    with pytest.raises(ControlError, match="there are: berlin"):
        methods.list(ServersParams(name="xyz"))


async def test_the_status_has_a_section_and_a_trouble_while_one_is_down(site, autojump_clock):
    berlin = site.server("berlin")
    assert "servers" in site.proxy.kernel.handle("x").status().sections
    await berlin.log_on()
    await berlin.kill()
    await trio.sleep(6)
    status = site.proxy.kernel.handle("x").status()
    (row,) = status.sections["servers"]
    assert row["state"] == "down"
    assert [t.name for t in status.troubles if t.kind == "server"] == ["berlin"]
    await berlin.log_on(port=5070)
    await trio.sleep(5)
    assert not site.proxy.kernel.handle("x").status().troubles


async def test_a_reload_knows_the_servers_and_takes_up_the_new_rules(site, autojump_clock):
    berlin = site.server("berlin")
    await berlin.log_on("alice")
    await site.proxy.reload(
        registrar={"store": "memory", "ping_interval": "5s", "ping_timeout": "1s", "down_after": 1}
    )
    assert berlin.state == "up"
    assert await site.status() == 200
    berlin.hang()
    await trio.sleep(16)
    assert berlin.state == "down"


async def test_a_reload_that_fails_changes_nothing(site, autojump_clock):
    berlin = site.server("berlin")
    await berlin.log_on("alice")
    before = site.servers
    with pytest.raises(Exception, match="down_after"):
        await site.proxy.reload(registrar={"store": "memory", "down_after": 0})
    assert site.servers is before
    assert await site.status() == 200


async def test_an_account_that_is_gone_is_no_server_any_more(site, methods, autojump_clock):
    berlin = site.server("berlin")
    await berlin.log_on()
    site.accounts.accounts_.clear()
    await site.proxy.reload(limits={"idle_timeout": "5m"})
    assert methods.list(ServersParams()).servers == ()
    assert await site.status() == 404


# ---------------------------------------------------------------- findings


def found(site):
    (check,) = [each for each in site.servers.checks() if each.area == "servers"]
    return {finding.code: finding for finding in check.run()}


async def test_a_shared_user_that_nobody_has_logged_on_as_yet_is_no_finding(
    sipx_proxy, nursery, autojump_clock
):
    lan = {"user": "uc", "password": "forty-two secret letters", "bind": "10.0.0.1"}
    proxy = await sipx_proxy(registrar={"store": "memory"}, lan=lan)
    assert found(Site(proxy, nursery)) == {}


async def test_findings(site, autojump_clock):
    assert set(found(site)) == {"SIPX-U001"}
    site.server("berlin", weight=0)
    assert set(found(site)) == {"SIPX-U002"}
    site.server("munich", weight=1)
    site.server("paris", weight=3)
    findings = found(site)
    assert set(findings) == {"SIPX-U006"}
    assert "munich 25%" in findings["SIPX-U006"].text
    site.server("rome", users=["a*", "b"])
    site.server("oslo", users=["a*"])
    assert "oslo and rome" in found(site)["SIPX-U003"].text


async def test_a_user_of_his_own_needs_no_server(site, autojump_clock):
    site.accounts.add("alice", "127.0.2.9", kind=SenderKind.USER)
    site.servers.accounts_changed()
    assert found(site) == {}


async def test_an_order_that_is_still_in_force_is_a_finding(site, methods, autojump_clock):
    site.server("berlin")
    await command_of(methods, "drain", "berlin")
    assert "resume berlin" in found(site)["SIPX-U004"].remedy


async def test_without_pings_that_is_a_finding(sipx_proxy, nursery, autojump_clock):
    site = Site(await sipx_proxy(registrar={"store": "memory", "ping_interval": 0}), nursery)
    site.server("berlin")
    assert set(found(site)) == {"SIPX-U005"}


# ---------------------------------------------------------------- the command


@pytest.mark.parametrize("words", [["--help"], ["drain", "--help"], ["berlin", "--help"]])
def test_the_command_has_help(words):
    result = CliRunner().invoke(command, words)
    assert result.exit_code == 0
    assert "--json" in result.output


@pytest.mark.parametrize("words", [[], ["berlin"], ["drain", "berlin"], ["--json", "berlin"]])
def test_without_a_running_proxy_the_exit_code_is_4(words, monkeypatch, tmp_path):
    monkeypatch.setenv("SIPX_SOCKET", str(tmp_path / "none"))
    result = CliRunner().invoke(command, words, obj=None)
    assert result.exit_code == 4


# ---------------------------------------------------------------- after a restart


async def test_a_server_is_looked_for_where_it_had_logged_on(site, autojump_clock):
    """sipx was started anew: the logon is in the store, and its connection is gone."""
    berlin = site.server("berlin")
    await berlin.start()
    place = logon_place("berlin")
    contact = f"sip:{berlin.address}:5060;transport=tcp".encode()
    wall = site.servers.proxy.wall()
    binding = Binding(
        place, contact, "berlin", b"c", 1, wall + 600, wall, transport="tcp", address=berlin.address
    )
    site.servers.bindings.apply([BindingChange(place, binding.key, binding)])
    await trio.sleep(5)
    assert berlin.state == "up"
    assert await site.status() == 200


async def test_an_answer_of_one_that_was_not_seen_since_the_start_shows_that_it_is_there(
    site, autojump_clock
):
    berlin = site.server("berlin")
    await berlin.start()
    wall = site.servers.proxy.wall()
    contact = f"sip:alice@{berlin.address}:5060;transport=tcp".encode()
    aor = f"alice@{HOME}".encode()
    binding = Binding(
        aor, contact, "berlin", b"c", 1, wall + 600, wall, transport="tcp", address=berlin.address
    )
    site.servers.bindings.apply([BindingChange(aor, binding.key, binding)])
    await trio.sleep(5)
    assert berlin.state == "never seen"
    assert await site.status() == 200
    await trio.sleep(5)
    assert berlin.state == "up"

"""The checks, asked of a proxy that runs."""

from __future__ import annotations

import pytest

from sipx.checks import running
from sipx.config.load import load
from sipx.control.checks import CheckResult
from sipx.control.errors import ControlError
from sipx.control.kernel import api_of
from sipx.control.methods import Caller
from sipx.dry_run import DryRun
from sipx.kernel import Kernel
from sipx.plugin import Check, Finding, Fix, Severity, hookimpl
from sipx.registry import Registry

ME = Caller("otto", role="operator")
TEXT = """\
domains = ["a.example"]
plugins = ["udp", "stun"]

[stun]
enabled = false

[service]
state_dir = "state"

[interface.near]
bind = "127.0.0.1"
port = 0
protocol = "udp"
"""


@pytest.fixture
async def kernel(tmp_path, nursery):
    path = tmp_path / "sipx.toml"
    path.write_text(TEXT)
    registry = Registry()
    kernel = Kernel(load(path, registry), registry)
    await nursery.start(kernel.run)
    return kernel


def ask(kernel, caller=ME, **params):
    return api_of(kernel).call("check.run", params, caller)


async def test_findings_by_area_with_a_verdict_and_what_can_be_mended(kernel):
    result = await ask(kernel, areas=["config", "ports", "plugins"])
    assert isinstance(result, CheckResult)
    assert {one.area for one in result.findings} == {"config", "ports", "plugins"}
    assert result.verdict == "ok"
    (off,) = [one for one in result.findings if one.fix]
    (edit,) = off.fix
    assert (edit.op, edit.key, edit.value) == ("set", "stun.enabled", True)


async def test_a_fix_is_what_a_change_takes(kernel):
    result = await ask(kernel, areas=["plugins"])
    (edits,) = [one.fix for one in result.findings if one.fix]
    await api_of(kernel).call(
        "config.change", {"edits": [edit.model_dump() for edit in edits]}, Caller("ada")
    )
    assert "stun" in kernel.hooks.plugins()


async def test_the_file_as_it_is_now_is_checked(kernel):
    path = kernel.settings.path
    path.write_text(TEXT.replace("port = 0", "port = 70000"))
    result = await ask(kernel)
    assert [one.code for one in result.findings] == ["SIPX-C002"]
    assert result.verdict == "failures"


async def test_the_ports_that_the_machine_has_given_are_looked_at(kernel, monkeypatch):
    seen = {}

    def findings(settings, registry, wanted, public, ports):
        with DryRun.of(settings, registry, ports) as dry:
            seen.update({one.name: one.address for one in dry.interfaces})
        return []

    monkeypatch.setattr(running, "findings", findings)
    await ask(kernel)
    assert seen == {"near": kernel.interfaces.named("near").address}


async def test_an_unknown_area_is_refused_beside_its_field(kernel):
    with pytest.raises(ControlError, match="there is no area 'dsn'") as refused:
        await ask(kernel, areas=["dsn"])
    assert refused.value.problems[0].key == "areas"


async def test_whoever_only_looks_does_not_run_checks(kernel):
    with pytest.raises(ControlError) as refused:
        await ask(kernel, Caller("eve", role="viewer"))
    assert refused.value.kind == "forbidden"


def test_a_finding_of_a_plugin_may_have_a_fix():
    class Lab:
        @hookimpl
        def checks(self):
            fix = (Fix("unset", "lab.size"),)
            yield Check("lab", lambda: [Finding("LAB-1", Severity.WARNING, "x", "y", fix)])

    (check,) = Lab().checks()
    assert check.run()[0].fix == (Fix("unset", "lab.size"),)

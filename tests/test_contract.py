"""Every installed plugin keeps the contract, and a plugin that does not is told so."""

import re
from importlib.metadata import entry_points

import pytest

from sipx.testing.contract import check_plugin, violations

INSTALLED = sorted({entry.name for entry in entry_points(group="sipx")})
SECURED = {
    "tls": {},
    "certificate": {"main": {"cert_file": "main.crt", "key_file": "main.key"}},
    "wan": {"certificate": "main"},
}
TABLES = {
    "metrics": {"metrics": {"port": 0}},
    "monitor": {"monitor": {"port": 0}},
    "open-federation": {**SECURED, "open-federation": {"port": 0}},
}
"""What listens on a port of its own takes a free one here; mutual TLS wants a certificate."""


@pytest.mark.parametrize("name", INSTALLED)
def test_contract(name):
    check_plugin(name, **{name: {}, **TABLES.get(name, {})})


HEAD = '''
from sipx import Config, hookimpl

class LabConfig(Config):
    """The TOML table [lab]."""
    speed: int = 1
    """How fast."""

class Lab:
    """A plugin for this test."""
    Config = LabConfig

    def __init__(self, config, proxy):
        self.proxy = proxy

    @hookimpl
    def services(self):
        return [self.serve]

    async def serve(self, *, task_status):
        task_status.started()
'''
METADATA = """Metadata-Version: 2.1
Name: sipx-lab
Version: 1.0
Requires-Dist: sipx-proxy>=0.1,<0.2

# sipx-lab

`speed` says how fast.
"""


def lab(install, source=HEAD, metadata=METADATA):
    site = install("sipx-lab", {"lab": "sipx_lab:Lab"}, sipx_lab=source)
    (site / "sipx_lab-1.0.dist-info" / "METADATA").write_text(metadata)
    return list(violations("lab", {}))


def test_a_plain_plugin_keeps_it(install):
    assert lab(install) == []


def test_a_plugin_that_is_not_installed_is_named():
    with pytest.raises(AssertionError, match="plugin 'ghost' breaks its contract"):
        check_plugin("ghost")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("def services(self):\n", "def sevices(self):\n"), "there is no hook 'sevices'"),
        (("    def services", "    async def services"), "hook 'services' is async def"),
        (("Config = LabConfig", "Config = dict"), "its Config is not a sipx.Config"),
        (('    """A plugin for this test."""\n', ""), "Lab has no docstring"),
        (('    """How fast."""\n', ""), "LabConfig.speed has no docstring below it"),
        (("self.proxy = proxy", "raise ValueError('no')"), "start and stop: PluginError: .*no"),
        (("task_status.started()", "1 / 0"), "does not start and stop: ZeroDivisionError"),
        (
            ("speed: int = 1", "model_config = {'extra': 'ignore'}\n    speed: int = 1"),
            r"an unknown key in \[lab\] is not refused: it starts",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_broken_promise_is_told(install, change, said):
    assert re.search(said, "\n".join(lab(install, HEAD.replace(*change))))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("`speed`", "The speed"), "its README does not name the key `speed` of LabConfig"),
        (("# sipx-lab\n\n`speed` says how fast.", ""), "the distribution sipx-lab has no README"),
        (("Requires-Dist: sipx-proxy>=0.1,<0.2\n", ""), "does not depend on sipx-proxy"),
        ((">=0.1,<0.2", ">=0.1"), "needs a range"),
        ((">=0.1,<0.2", "==0.1"), "pins sipx-proxy==0.1"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_broken_promise_of_the_distribution_is_told(install, change, said):
    assert re.search(said, "\n".join(lab(install, metadata=METADATA.replace(*change))))


BROKEN_PARTS = {
    "control_methods": ('{"lab.do": print}', "plugin 'lab': control method 'lab.do': takes args"),
    "status_sections": ('{"lab": [1]}', "failed in status_sections"),
}


@pytest.mark.parametrize("hook", BROKEN_PARTS)
def test_what_the_control_api_asks_of_it_is_tried(install, hook):
    given, said = BROKEN_PARTS[hook]
    source = f"{HEAD}\n    @hookimpl\n    def {hook}(self):\n        return {given}\n"
    [wrong, *_] = lab(install, source)
    assert said in wrong

"""Where a browser is opened."""

from types import SimpleNamespace

import pytest

from sipx.demo.console import has_display, is_installed, link_to
from sipx.registry import Registry


@pytest.fixture
def environment(monkeypatch):
    """A Linux without a display, outside CI."""
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("CI", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


TERMINAL = SimpleNamespace(isatty=lambda: True)
FILE = SimpleNamespace(isatty=lambda: False)


def test_a_display_is_needed(environment):
    assert not has_display(TERMINAL)
    environment.setenv("WAYLAND_DISPLAY", "wayland-0")
    assert has_display(TERMINAL)
    assert not has_display(FILE)


def test_never_in_ci(environment):
    environment.setenv("DISPLAY", ":0")
    environment.setenv("CI", "true")
    assert not has_display(TERMINAL)


def test_other_systems_always_have_one(environment):
    environment.setattr("sys.platform", "darwin")
    assert has_display(TERMINAL)


def test_a_plugin_that_is_not_installed():
    assert not is_installed(Registry([]))


async def test_a_proxy_without_a_console_says_why(sipx_proxy, autojump_clock):
    url, why = await link_to((await sipx_proxy()).kernel)
    assert url == ""
    assert why.startswith("there is no method 'console.url'")

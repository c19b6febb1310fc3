"""What a plugin adds to the console, and what it cannot."""

from __future__ import annotations

import pytest

from sipx.errors import PluginError
from sipx.hooks import Hooks
from sipx.panels import panel_problem
from sipx.plugin import ConsolePanel, hookimpl


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An importable package with files for the console."""
    folder = tmp_path / "sipx_paneled"
    (folder / "web").mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "panel.js").touch()
    (folder / "web" / "panel.css").touch()
    (tmp_path / "secret.js").touch()
    monkeypatch.syspath_prepend(tmp_path)
    return "sipx_paneled"


def test_files_of_the_package_are_right(package):
    assert panel_problem(ConsolePanel("panel.js", package, ("web/panel.css",))) == ""


@pytest.mark.parametrize(
    ("module", "styles", "said"),
    [
        ("../secret.js", (), "'../secret.js' is no name of a file in a package; write it such as"),
        ("/etc/panel.js", (), "'/etc/panel.js' is no name of a file in a package"),
        ("panel.py", (), "'panel.py' is no name of a file in a package; write it such as panel.js"),
        (".hidden/panel.js", (), "is no name of a file"),
        ("web\\panel.js", (), "is no name of a file"),
        ("", (), "is no name of a file"),
        ("other.js", (), "other.js does not exist; put it there, and into the wheel"),
        ("panel.js", ("panel.js",), "'panel.js' is no name of a file in a package; write it such"),
    ],
)
def test_other_files_are_refused(package, module, styles, said):
    assert said in panel_problem(ConsolePanel(module, package, styles))


@pytest.mark.parametrize("name", ["no_such_package", "no.such.package", "", "ast"])
def test_what_is_no_package_is_refused(name):
    assert "is no package with files" in panel_problem(ConsolePanel("panel.js", name))


def test_the_panels_of_all_plugins_by_name(package):
    class Paneled:
        @hookimpl
        def console_panels(self):
            yield ConsolePanel("panel.js", package)

    class Wrong:
        @hookimpl
        def console_panels(self):
            return ["panel.js"]

    hooks = Hooks()
    hooks.register("lab", Paneled())
    assert hooks.console_panels() == {"lab": (ConsolePanel("panel.js", package),)}
    hooks.register("wrong", Wrong())
    with pytest.raises(PluginError, match="is no ConsolePanel") as refused:
        hooks.console_panels()
    assert str(refused.value).startswith("plugin 'wrong': hook 'console_panels': 'panel.js'")

"""The generated pages are those of the commands and the configuration, and man has no complaint."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import click
import pytest

from sipx.cli.exits import MEANINGS, ExitCode
from sipx.cli.reference import generated, main, standard_plugins
from sipx.cli.reference_roff import commands_page, configuration_page
from sipx.cli.reference_tree import Key, Option, Page, Table, pages, tables
from sipx.plugin import Config

ROOT = Path(__file__).parents[2]
MAN = sorted((ROOT / "man").iterdir())


@pytest.fixture(scope="module")
def files() -> dict[Path, str]:
    return generated(ROOT)


@pytest.mark.parametrize("name", ["docs/cli.md", "man/sipx.1", "man/sipx.toml.5"])
def test_a_generated_file_is_what_is_generated(files, name):
    assert files.keys() == {Path("docs/cli.md"), *(path.relative_to(ROOT) for path in MAN)}
    there = (ROOT / name).read_text(encoding="utf-8")
    assert there == files[Path(name)], f"{name} is old: run `make docs`"


def test_every_command_has_a_heading_with_its_words(files):
    headings = re.findall("^###? (sipx .+)$", files[Path("docs/cli.md")], re.M)
    assert {"sipx run", "sipx service stop", "sipx cert ca issue", "sipx routes explain"} <= {
        *headings
    }
    assert len(headings) == len(set(headings))


def test_every_command_has_help():
    from sipx.cli.root import sipx

    for page in pages(sipx, standard_plugins(ROOT)):
        assert page.text, page.path
        assert all(option.help.endswith((".", ")")) for option in page.options), page


def test_the_plugins_are_those_of_the_extra_in_its_order():
    assert standard_plugins(ROOT)[:2] == ["udp", "tcp"]


def test_every_exit_code_has_a_meaning():
    assert MEANINGS.keys() == set(ExitCode)


def test_only_what_has_changed_is_written(tmp_path, capsys):
    for name in ("pyproject.toml", "docs/examples/minimal.toml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    main(tmp_path)
    assert capsys.readouterr().out.split() == ["docs/cli.md", "man/sipx.1", "man/sipx.toml.5"]
    main(tmp_path)
    assert capsys.readouterr().out == ""


# ---------------------------------------------------------------- what it is made of


def test_an_option_is_shown_as_it_is_written():
    @click.group()
    def root() -> None:
        """The root."""

    @root.command()
    @click.option("-n", "--number", type=click.IntRange(1), default=3, show_default=True, help="N.")
    @click.option("--on/--off", help="Whether.")
    @click.option("--key-type", type=click.Choice(["ec", "rsa"]), help="Which.")
    @click.option("--old", hidden=True, help="Gone.")
    @click.argument("file")
    def make(**given: object) -> None:
        """Make it.

        \b
        As it is.
        """

    [page] = pages(root, [])
    assert page == Page(
        "sipx make",
        "sipx make [OPTIONS] FILE",
        "Make it.\n\n    As it is.",
        (
            Option("-n, --number NUMBER", "N. Default: 3."),
            Option("--on / --off", "Whether."),
            Option("--key-type [ec|rsa]", "Which."),
        ),
        "",
        False,
    )


class LabConfig(Config):
    """[lab]: a plugin
    of a test."""

    names: tuple[str, ...] = ("a",)
    """Some."""

    wanted: int
    """A number."""


def test_a_table_is_shown_with_kinds_and_defaults():
    found = {table.name: table for table in tables({"lab": type("Lab", (), {"Config": LabConfig})})}
    assert found["lab"].text == "A plugin of a test."
    assert found["lab"].keys[-2:] == (
        Key("names", "list of text", '["a"]', "Some."),
        Key("wanted", "whole number", "required", "A number."),
    )
    keys = {key.name: key for table in found.values() for key in table.keys}
    assert (keys["stop_timeout"].kind, keys["stop_timeout"].default) == ("duration", '"15s"')
    assert keys["body"].kind == "size"
    assert keys["min_tls"].kind == '"1.2" or "1.3"'
    assert "interface.NAME" in found


# ---------------------------------------------------------------- roff


def test_nothing_of_a_text_is_a_request_or_an_escape():
    page = Page("sipx odd", "sipx odd [-x]", ".dot 'quote \\n and `code-x`", (), "", False)
    text = commands_page([page], [], "1.0")
    assert "\n" + r"\&.dot \(aqquote \en" in text
    assert r"\en and \fBcode\-x\fR" in text
    assert r".SS sipx odd [\-x]" in text
    table = Table("odd", "Text.", (Key("a_b", '"x"', "none", "Ends · here."),))
    text = configuration_page([table], 'a = "b"\n.c', [], "1.0")
    assert r"\fBa_b\fR = \(dqx\(dq (default: none)" in text
    assert r"Ends \[u00B7] here." in text
    assert r"\&.c" in text


def test_lines_that_click_does_not_fold_stand_as_they_are(files):
    lines = "    sipx console url                       a link that logs a browser on, once\n"
    assert f"\n\n{lines}    sipx console url" in files[Path("docs/cli.md")]
    assert f"\n.nf\n{lines}    sipx console url" in files[Path("man/sipx.1")]


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
@pytest.mark.parametrize("page", MAN, ids=lambda page: page.name)
def test_groff_has_no_complaint(page):
    done = subprocess.run(
        ["groff", "-man", "-ww", "-Tutf8", page], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") > 100


@pytest.mark.skipif(shutil.which("man") is None, reason="man is not installed")
@pytest.mark.parametrize("page", MAN, ids=lambda page: page.name)
def test_man_has_no_complaint(page):
    done = subprocess.run(
        ["man", "--warnings", "--local-file", page], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_wheel_brings_the_man_pages():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    shared = project["tool"]["hatch"]["build"]["targets"]["wheel"]["shared-data"]
    assert {ROOT / source for source in shared} == set(MAN)
    assert sorted(shared.values()) == ["share/man/man1/sipx.1", "share/man/man5/sipx.toml.5"]

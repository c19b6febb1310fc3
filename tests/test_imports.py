"""Imports point down only: plugins, then ``sipx``, then ``sipx.sip``, then the standard library.

A ring sees the rings inside it, through their public names, and what its distribution declares.
Two plugins that need each other meet in a hook. What is imported only for types counts too.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import sipx
import sipx.sip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parent.parent
PLUGINS = sorted(ROOT.glob("plugins/*"))

WORLD = frozenset({
    "asyncio", "datetime", "io", "logging", "multiprocessing", "os", "pathlib", "queue", "random",
    "sched", "secrets", "select", "selectors", "shutil", "signal", "socket", "ssl", "subprocess",
    "tempfile", "threading", "time", "uuid",
})  # fmt: skip
"""What of the standard library has a clock, chance, threads or I/O: not in the protocol."""

MODULES_OF = {
    "dnspython": ("dns",),
    "markdown-it-py": ("markdown_it",),
    "pydantic": ("pydantic", "pydantic_core"),
    "pyopenssl": ("OpenSSL",),
    "sipx-proxy": ("sipx",),
}
"""Distributions whose modules are not named like them."""


@dataclass(frozen=True)
class Import:
    """One imported module or name: ``from a import b`` is module ``a`` and name ``b``."""

    module: str
    name: str
    line: int

    def __str__(self) -> str:
        return f"{self.module}.{self.name}" if self.name else self.module

    @property
    def top(self) -> str:
        return self.module.partition(".")[0]

    def within(self, package: str) -> bool:
        full = str(self)
        return full == package or full.startswith(package + ".")


@dataclass(frozen=True)
class Ring:
    """``name`` may import what ``allows`` says yes to, which is ``may`` in words."""

    name: str
    may: str
    allows: Callable[[Import], bool]

    def faults(self, file: Path) -> Iterator[str]:
        for one in imports(file.read_text(encoding="utf-8"), package_of(file)):
            if not self.allows(one):
                where = f"{shown(file)}:{one.line}"
                yield f"{where} imports {one}; ring {self.name} may import {self.may}"


def shown(file: Path) -> Path:
    return file.relative_to(ROOT) if file.is_relative_to(ROOT) else file


def package_of(file: Path) -> str:
    """The dotted package that relative imports of a file start from."""
    parts: list[str] = []
    folder = file.parent
    while folder.joinpath("__init__.py").exists():
        parts.insert(0, folder.name)
        folder = folder.parent
    return ".".join(parts)


def imports(source: str, package: str = "") -> Iterator[Import]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, "", node.lineno)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                module = ".".join([*above, *filter(None, [module])])
            for alias in node.names:
                yield Import(module, alias.name, node.lineno)


def declared(pyproject: Path, *extras: str) -> frozenset[str]:
    """The top-level modules of the distributions that a pyproject.toml depends on."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    wanted = list(project.get("dependencies", ()))
    for extra in extras:
        wanted += project.get("optional-dependencies", {}).get(extra, ())
    found: set[str] = set()
    for requirement in wanted:
        name = re.split(r"[^A-Za-z0-9_.-]", requirement, maxsplit=1)[0].lower()
        found.update(MODULES_OF.get(name, (name.replace("-", "_"),)))
    return frozenset(found)


def standard(one: Import) -> bool:
    return one.top in sys.stdlib_module_names


COMPILER = "mypy_extensions.mypyc_attr"
"""What `sipx.sip.compiled` imports for the type checker alone, and the compiler understands."""


def protocol(one: Import) -> bool:
    return (
        str(one) == COMPILER or one.within("sipx.sip") or (standard(one) and one.top not in WORLD)
    )


KERNEL_NEEDS = declared(ROOT / "pyproject.toml")
TESTING_NEEDS = declared(ROOT / "pyproject.toml", "testing")


def kernel(one: Import) -> bool:
    if one.within("sipx.testing"):
        return False
    return standard(one) or one.top == "sipx" or one.top in KERNEL_NEEDS


def demo(one: Import) -> bool:
    return kernel(one) or one.within("sipx.testing")


def for_tests(one: Import) -> bool:
    return demo(one) or one.top in TESTING_NEEDS


def public(one: Import) -> bool:
    """Whether a name is one that ``sipx`` or ``sipx.sip`` offers, reached through that window."""
    if not one.name:
        return one.module in {"sipx", "sipx.sip"}
    if one.module == "sipx":
        return one.name in {*sipx.__all__, "sip"}
    return one.module == "sipx.sip" and one.name in sipx.sip.__all__


def plugin(folder: Path) -> Ring:
    """The ring of one plugin: its own modules, and inward through the two windows."""
    own = {path.stem for path in folder.glob("sipx_*")}
    needs = (declared(folder / "pyproject.toml") | KERNEL_NEEDS) - {"sipx"}

    def allows(one: Import) -> bool:
        return standard(one) or one.top in own | needs or public(one)

    may = "public names of sipx and sipx.sip, its own modules, and what it or sipx depends on"
    return Ring(folder.name, may, allows)


def plugin_tests(folder: Path) -> Ring:
    inner = plugin(folder)
    tools = {"pytest", "hypothesis", "playwright", "axe_playwright_python"}
    tools |= {"jsonschema", "openapi_spec_validator"}

    def allows(one: Import) -> bool:
        beside = one.module.startswith(".")
        return inner.allows(one) or beside or one.top in tools or one.within("sipx.testing")

    return Ring(
        f"tests of {folder.name}",
        f"{inner.may}, sipx.testing, pytest, hypothesis, playwright, axe, "
        "jsonschema and openapi_spec_validator",
        allows,
    )


PROTOCOL = Ring(
    "sipx.sip",
    "sipx.sip and the standard library without clocks, chance, threads and I/O",
    protocol,
)
KERNEL = Ring("sipx", "sipx, sipx.sip, the standard library and its dependencies", kernel)
DEMO = Ring("sipx demo", KERNEL.may + ", and sipx.testing", demo)
TESTING = Ring("sipx.testing", KERNEL.may + ", sipx.testing and pytest", for_tests)


def ring_of(file: Path) -> Ring:
    """The ring of a file of the package ``sipx``."""
    inside = file.relative_to(ROOT / "sipx")
    if inside.parts[0] == "sip":
        return PROTOCOL
    if inside.parts[0] == "testing":
        return TESTING
    return DEMO if inside.parts[0] in {"demo"} or inside.match("cli/demo*") else KERNEL


def test_imports_of_the_protocol_and_of_the_kernel_point_down_only() -> None:
    files = sorted(ROOT.glob("sipx/**/*.py"))
    assert files
    faults = [fault for file in files for fault in ring_of(file).faults(file)]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("folder", PLUGINS, ids=lambda folder: folder.name)
def test_a_plugin_looks_inward_through_public_names_and_never_sideways(folder: Path) -> None:
    tests = folder / "tests"
    faults: list[str] = []
    for file in sorted(folder.glob("**/*.py")):
        ring = plugin_tests(folder) if file.is_relative_to(tests) else plugin(folder)
        faults += ring.faults(file)
    assert not faults, "\n".join(faults)


def plugin_words() -> dict[str, Path]:
    """Distributions, modules and entry points of the shipped plugins, and whose they are.

    An entry point that is a transport of RFC 3261 (``udp``) is a word of SIP, and one that is a
    role of an interface (``lan``) a word of the configuration; these are free.
    """
    words: dict[str, Path] = {}
    for folder in PLUGINS:
        project = tomllib.loads(folder.joinpath("pyproject.toml").read_text())["project"]
        names = [project["name"], *project.get("entry-points", {}).get("sipx", {})]
        names += [path.stem for path in folder.glob("sipx_*")]
        words |= {name: folder for name in names if name not in {"udp", "tcp", "tls", "ws", "lan"}}
    return words


CATALOGUE = ROOT / "sipx/cli/template.py"
"""The text of the file that `sipx init` writes: the list of what is shipped."""


def test_the_kernel_names_no_plugin() -> None:
    words = plugin_words()
    faults = [
        f"{shown(file)}:{node.lineno} says {node.value!r}; the kernel names no plugin"
        for file in sorted(ROOT.glob("sipx/**/*.py"))
        if ring_of(file) in {PROTOCOL, KERNEL} and file != CATALOGUE
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value in words
    ]
    assert not faults, "\n".join(faults)


# ---------------------------------------------------------------- the rule itself


def faults_of(tmp_path: Path, ring: Ring, source: str) -> list[str]:
    file = tmp_path / "made_up.py"
    file.write_text(source)
    return list(ring.faults(file))


def test_a_fault_says_where_what_and_what_is_allowed(tmp_path: Path) -> None:
    (fault,) = faults_of(tmp_path, PROTOCOL, "import re\nimport trio\n")
    assert fault == f"{tmp_path}/made_up.py:2 imports trio; ring sipx.sip may import {PROTOCOL.may}"


@pytest.mark.parametrize(
    ("ring", "source"),
    [
        (PROTOCOL, "import time"),
        (PROTOCOL, "from random import Random"),
        (PROTOCOL, "from sipx import flows"),
        (PROTOCOL, "def late():\n    import socket"),
        (KERNEL, "import sipx_udp"),
        (KERNEL, "import requests"),
        (KERNEL, "from sipx.testing import dns"),
        (KERNEL, "from sipx import testing"),
        (plugin(PLUGINS[0]), "from sipx.kernel import Kernel"),
        (plugin(PLUGINS[0]), "from sipx import kernel"),
        (plugin(PLUGINS[0]), "from sipx.sip.parser import StreamParser"),
        (plugin(PLUGINS[0]), "import sipx_somebody_else"),
        (plugin(PLUGINS[0]), "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n import ssh"),
    ],
)
def test_an_import_that_points_outward_is_found(tmp_path: Path, ring: Ring, source: str) -> None:
    assert len(faults_of(tmp_path, ring, source)) == 1


def test_a_relative_import_is_read_as_what_it_means() -> None:
    (one,) = imports("from ..kernel import Kernel", "sipx.sip")
    assert str(one) == "sipx.kernel.Kernel"

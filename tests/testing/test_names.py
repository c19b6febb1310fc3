"""The package that pytest imports everywhere: its names are there, and cost nothing before use."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import sipx.testing


def test_the_type_checker_and_the_program_see_the_same_names():
    tree = ast.parse(Path(sipx.testing.__file__).read_text())
    [block] = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {alias.name: node.module for node in block.body for alias in node.names}
    assert seen == sipx.testing._MODULE_OF
    assert sorted(sipx.testing.__all__) == sorted(seen)


@pytest.mark.parametrize("name", sipx.testing.__all__)
def test_every_name_can_be_imported(name):
    assert getattr(sipx.testing, name) is not None
    assert name in dir(sipx.testing)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = sipx.testing.Nothing


def test_the_pytest_plugin_imports_nothing_of_the_kernel():
    heavy = "{'trio', 'pydantic', 'pluggy', 'tomlkit', 'dns', 'sipx.kernel', 'sipx.sip'}"
    source = (
        "import sys, pytest; before = set(sys.modules); import sipx.testing.plugin; "
        f"print(sorted({heavy} & (set(sys.modules) - before)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"

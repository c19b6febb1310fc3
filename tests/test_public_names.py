from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import sipx


def _imports_for_type_checkers() -> dict[str, str]:
    tree = ast.parse(Path(sipx.__file__).read_text())
    [block] = [node for node in tree.body if isinstance(node, ast.If)]
    return {
        alias.name: str(node.module)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_the_type_checker_and_the_program_see_the_same_names():
    assert _imports_for_type_checkers() == sipx._MODULE_OF
    assert sorted(sipx.__all__) == sorted(sipx._MODULE_OF)


@pytest.mark.parametrize("name", sipx.__all__)
def test_every_public_name_can_be_imported(name):
    assert getattr(sipx, name) is not None
    assert name in dir(sipx)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = sipx.Nothing


def test_importing_sipx_imports_nothing_else():
    code = "import sys, sipx; print(sorted({'trio', 'pydantic', 'pluggy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"

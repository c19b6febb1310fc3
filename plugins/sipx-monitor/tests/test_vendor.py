"""What of others is in the console is what VENDOR.toml says, and a change of it is seen."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("vendor", Path(__file__).parents[1] / "vendor.py")
assert _spec is not None
assert _spec.loader is not None
vendor = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(vendor)


@pytest.fixture
def copy(tmp_path):
    return Path(shutil.copytree(vendor.VENDOR, tmp_path / "vendor"))


def test_everything_is_what_it_should_be():
    assert vendor.problems() == []


def test_every_package_has_its_version_licence_and_integrity():
    for package in vendor.packages().values():
        assert package["version"][0].isdigit()
        assert package["licence"] in ("MIT", "Apache-2.0")
        assert package["integrity"].startswith("sha512-")
        assert (vendor.VENDOR / package["files"][package["licence_file"]]["as"]).is_file()


def test_a_file_that_was_changed_is_named(copy):
    (copy / "htm.js").write_text("export default () => null;\n", encoding="utf-8")
    assert vendor.problems(copy) == ["htm: htm.js is not what VENDOR.toml says"]


def test_a_file_that_is_missing_is_named(copy):
    (copy / "preact.js").unlink()
    assert vendor.problems(copy) == ["preact: preact.js is missing; run vendor.py fetch"]


def test_a_file_of_no_package_is_named(copy):
    (copy / "jquery.js").write_text("", encoding="utf-8")
    assert vendor.problems(copy) == ["jquery.js is in no package of VENDOR.toml"]


def test_nothing_is_loaded_from_another_host():
    for path in vendor.VENDOR.parent.rglob("*.html"):
        assert "//" not in path.read_text(encoding="utf-8").replace("<!--", "")


def test_the_import_map_names_files_that_are_there():
    html = (vendor.VENDOR.parent / "index.html").read_text(encoding="utf-8")
    import_map = html.split('<script type="importmap">')[1].split("</script>")[0]
    for place in json.loads(import_map)["imports"].values():
        assert (vendor.VENDOR.parents[1] / place).is_file(), place

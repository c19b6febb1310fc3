"""What holds for the files of the repository as a whole."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent

SKIPPED = {"build", "dist", "__pycache__"}
MAX_SOURCE = 550
MAX_TEST = 700
"""Lines. Files aim at 400 and 600; beyond these they have to be divided."""

WORKSHOP = ("/" + "work/", ".." + "/shared", "index" + "-proxy")
"""Words of places where sipx is made; they mean nothing where it is used."""

DECLARATIONS = {
    "sipx/__main__.py",
    "sipx/config/model.py",
    "sipx/errors.py",
    "sipx/events.py",
    "sipx/hookspecs.py",
    "sipx/locations.py",
    "sipx/plugin.py",
    "sipx/transport.py",
    "sipx/sip/errors.py",
    "sipx/trust/terms.py",
}
"""Modules in which nothing stands that could be tested by itself."""

TESTED_THROUGH = {
    "sipx/connections.py": "plugins/sipx-tls/tests/test_tls.py",
    "sipx/certificates/anchors.py": "tests/certificates/test_store.py",
    "sipx/certificates/importing.py": "tests/cli/test_cert_import.py",
    "sipx/certificates/names.py": "tests/cli/test_cert_show.py",
    "sipx/certificates/probe.py": "tests/cli/test_cert_show.py",
    "sipx/cli/status_text.py": "tests/cli/test_status.py",
    "sipx/cli/live.py": "tests/cli/test_tables.py",
    "sipx/control/certificate_words.py": "tests/control/test_certificates.py",
    "sipx/control/plugin_times.py": "tests/control/test_kernel.py",
    "sipx/control/words.py": "tests/control/test_kernel.py",
    "sipx/control/errors.py": "tests/control/test_api.py",
    "sipx/control/outbox.py": "tests/control/test_server.py",
    "sipx/control/rpc.py": "tests/control/test_server.py",
    "sipx/cli/cert_explain.py": "tests/cli/test_cert_show.py",
    "sipx/cli/cert_files.py": "tests/cli/test_cert_make.py",
    "sipx/cli/cert_live.py": "tests/cli/test_cert_show.py",
    "sipx/cli/cert_text.py": "tests/cli/test_cert_list.py",
    "sipx/limits.py": "tests/test_kernel.py",
    "sipx/pem_files.py": "tests/cli/test_cert_make.py",
    "sipx/tls/contexts.py": "tests/tls/test_session.py",
    "sipx/tls/examine.py": "tests/tls/test_session.py",
    "sipx/tls/verification.py": "tests/tls/test_session.py",
    "sipx/tls/words.py": "tests/tls/test_session.py",
    "sipx/testing/certificates.py": "tests/test_identity.py",
    "sipx/cookies.py": "tests/test_proxy_routes.py",
    "sipx/edge.py": "tests/test_streams.py",
    "sipx/flows.py": "tests/test_arrival.py",
    "sipx/forwarding.py": "tests/test_proxy_requests.py",
    "sipx/hops.py": "tests/test_resolver.py",
    "sipx/interfaces.py": "tests/test_proxy_routes.py",
    "sipx/journal.py": "tests/testing/test_proxy.py",
    "sipx/request_targets.py": "tests/test_discovery.py",
    "sipx/loops.py": "tests/test_two_nodes.py",
    "sipx/unanswered.py": "tests/test_proxy_routes.py",
    "sipx/loose_routing.py": "tests/test_proxy_routes.py",
    "sipx/kernel.py": "tests/testing/test_proxy.py",
    "sipx/logs/fields.py": "tests/test_journal.py",
    "sipx/paths.py": "tests/test_streams.py",
    "sipx/redelivery.py": "tests/test_paths.py",
    "sipx/records.py": "tests/test_lookup.py",
    "sipx/state.py": "tests/cli/test_run.py",
    "sipx/supervision.py": "tests/testing/test_proxy.py",
    "sipx/cli/demo.py": "tests/demo",
    "sipx/cli/reference_roff.py": "tests/cli/test_reference.py",
    "sipx/cli/reference_tree.py": "tests/cli/test_reference.py",
    "sipx/cli/summary.py": "tests/cli/test_run.py",
    "sipx/cli/systemctl.py": "tests/cli/test_service.py",
    "sipx/cli/config_keys.py": "tests/cli/test_config.py",
    "sipx/cli/config_show.py": "tests/cli/test_config.py",
    "sipx/cli/config_values.py": "tests/cli/test_config.py",
    "sipx/config/errors.py": "tests/config/test_load.py",
    "sipx/config/machine.py": "tests/config/test_load.py",
    "sipx/config/places.py": "tests/config/test_document.py",
    "sipx/config/schema.py": "tests/config/test_load.py",
    "sipx/config/wording.py": "tests/config/test_load.py",
    "sipx/sip/compiled.py": "tests/test_compiled.py",
    "sipx/sip/head.py": "tests/torture/test_parser.py",
    "sipx/sip/layout.py": "tests/torture/test_parser.py",
    "sipx/sip/message.py": "tests/torture/test_parser.py",
    "sipx/sip/names.py": "tests/torture/test_parser.py",
    "sipx/cli/asking.py": "tests/cli/test_dns.py",
    "sipx/cli/dns_cache.py": "tests/cli/test_dns.py",
    "sipx/cli/dns_route.py": "tests/cli/test_dns.py",
    "sipx/one_call.py": "tests/test_partner_check.py",
    "sipx/outward.py": "tests/control/test_probe.py",
    "sipx/partner_check_tls.py": "tests/test_partner_check.py",
    "sipx/srv_findings.py": "tests/test_srv_match.py",
    "sipx/trust/incoming.py": "tests/test_trust.py",
    "sipx/trust/outgoing.py": "tests/test_trust_outgoing.py",
    "sipx/trust/rules.py": "tests/test_trust_outgoing.py",
}
"""Modules that are tested where they are used; the test file is the first to look into."""

INSTRUMENTS = ("sipx/demo/", "sipx/testing/")
"""What tests and the demonstration are made of: their users are their tests."""


def files(*suffixes: str) -> Iterator[Path]:
    """The files of the repository, without what tools have made."""
    for folder, inner, names in os.walk(ROOT):
        inner[:] = [
            name
            for name in inner
            if name not in SKIPPED
            and not name.endswith(".egg-info")
            and (not name.startswith(".") or name == ".ci")
        ]
        for name in sorted(names):
            if name.endswith(suffixes):
                yield Path(folder) / name


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def is_test(path: Path) -> bool:
    return "tests" in path.relative_to(ROOT).parts


def test_constraints_name_versions_and_no_host() -> None:
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pins = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert pins
    assert "://" not in text
    assert "@" not in text
    assert all(line.partition("==")[2] for line in pins), "each line is name==version"


def test_no_lock_file_with_hosts_is_kept() -> None:
    assert not [shown(path) for path in files(".lock", "package-lock.json")]


@pytest.mark.parametrize(("tests", "limit"), [(False, MAX_SOURCE), (True, MAX_TEST)])
def test_no_python_file_is_too_long(tests: bool, limit: int) -> None:
    long = {shown(f): lines(f) for f in files(".py") if is_test(f) is tests and lines(f) > limit}
    assert not long


def test_no_file_names_the_place_where_it_was_made() -> None:
    texts = files(".py", ".md", ".toml", ".txt", ".xml", ".cfg", ".sh", ".c", "Makefile", "run")
    found = [
        f"{shown(path)}: {word}"
        for path in texts
        for word in WORKSHOP
        if word in path.read_text(encoding="utf-8")
    ]
    assert not found


def test_the_licence_is_apache_2() -> None:
    assert "Apache License\n" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    for project in [ROOT / "pyproject.toml", *(ROOT / "plugins").glob("*/pyproject.toml")]:
        assert 'license = "Apache-2.0"' in project.read_text(encoding="utf-8"), shown(project)


def test_kernel_and_shipped_plugins_have_one_version() -> None:
    projects = [ROOT / "pyproject.toml", *(ROOT / "plugins").glob("*/pyproject.toml")]
    versions = {
        line for p in projects for line in p.read_text().splitlines() if line.startswith("version")
    }
    assert len(versions) == 1


def test_a_code_of_a_check_means_one_thing() -> None:
    """Within a distribution several places may find the same; two distributions never do."""
    told: dict[str, set[str]] = defaultdict(set)
    for path in files(".py"):
        if not is_test(path):
            place = shown(path).split("/")
            owner = "/".join(place[: 2 if place[0] == "plugins" else 1])
            for code in re.findall(r'"(SIPX-[A-Z]\d{3})"', path.read_text(encoding="utf-8")):
                told[code].add(owner)
    assert {code: by for code, by in told.items() if len(by) > 1} == {}


def mirrored(source: Path) -> bool:
    """Whether a file ``test_NAME.py`` or ``test_NAME_*.py`` stands in a folder of tests."""
    names = (f"test_{source.name}", f"test_{source.stem}_*.py")
    return any(next((ROOT / "tests").rglob(name), None) for name in names)


def test_every_module_of_the_kernel_has_its_tests() -> None:
    missing = [
        name
        for path in files(".py")
        if (name := shown(path)).startswith("sipx/")
        and path.name != "__init__.py"
        and not name.startswith(INSTRUMENTS)
        and name not in DECLARATIONS | TESTED_THROUGH.keys()
        and not mirrored(path)
    ]
    assert not missing, "write a test file, or say in TESTED_THROUGH where they are tested"


def test_the_list_of_where_modules_are_tested_is_right() -> None:
    for name in DECLARATIONS | TESTED_THROUGH.keys():
        assert (ROOT / name).exists(), name
    for test in TESTED_THROUGH.values():
        assert (ROOT / test).exists(), test

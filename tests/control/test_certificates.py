"""Certificates over the control API: shown, taken over, asked for, made."""

from __future__ import annotations

import base64
import json
import stat
from datetime import UTC, datetime, timedelta
from threading import current_thread, main_thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

from sipx.certificates.authority import PrivateAuthority, new_key, pem_of, self_signed
from sipx.config.load import load
from sipx.control.errors import ControlError
from sipx.control.kernel import api_of
from sipx.control.methods import Caller
from sipx.kernel import Kernel
from sipx.registry import Registry

ADA = Caller("ada", 1000, 4711)
TEXT = """\
domains = ["a.example"]
plugins = ["udp"]

[service]
state_dir = "state"

[interface.near]
bind = "127.0.0.1"
port = 0
protocol = "udp"
"""
NOW = datetime.now(UTC)
AUTHORITY = PrivateAuthority.create("a laboratory", NOW)
LEAF = AUTHORITY.issue(["sip.a.example", "a.example"], NOW)


def b64(data):
    return base64.b64encode(data).decode()


class Scene:
    """A running kernel, and calls of its methods."""

    def __init__(self, kernel, path):
        self.kernel, self.path, self.folder = kernel, path, path.parent / "tls"
        self.api = api_of(kernel)

    async def call(self, method, /, **params):
        result = await self.api.call(f"certificates.{method}", params, ADA)
        text = result.model_dump_json()
        assert "PRIVATE KEY" not in text
        return json.loads(text)

    async def refused(self, method, /, **params):
        with pytest.raises(ControlError) as caught:
            await self.call(method, **params)
        assert "hunter2" not in str(caught.value)
        return caught.value

    def names(self):
        return list(self.kernel.config.certificate)


@pytest.fixture
async def scene(tmp_path, nursery):
    path = tmp_path / "sipx.toml"
    path.write_text(TEXT)
    registry = Registry()
    kernel = Kernel(load(path, registry), registry)
    await nursery.start(kernel.run)
    return Scene(kernel, path)


# ---------------------------------------------------------------- taken over


async def test_pem_with_its_key_is_written_listed_and_in_use(scene):
    given = b64(LEAF.cert_pem + LEAF.key_pem)
    done = await scene.call("import", name="main", data_base64=given)
    assert done["files"] == [str(scene.folder / "main.crt"), str(scene.folder / "main.key")]
    assert done["certificate"]["names"][0] == "DNS:sip.a.example"
    assert done["changed"]["version"] is not None
    assert scene.path.read_text() == TEXT + (
        '\n[certificate.main]\ncert_file = "tls/main.crt"\nkey_file = "tls/main.key"\n'
    )
    assert scene.names() == ["main"]
    assert scene.kernel.certificates.own("main").certificate == LEAF.certificate
    assert stat.S_IMODE((scene.folder / "main.key").stat().st_mode) == 0o600


async def test_pkcs12_with_its_password(scene):
    data = pkcs12.serialize_key_and_certificates(
        b"x", LEAF.key, LEAF.certificate, None, BestAvailableEncryption(b"hunter2")
    )
    given = {"name": "main", "data_base64": b64(data)}
    locked = await scene.refused("import", **given)
    assert str(locked) == "what was given is locked; give its password"
    assert locked.problems[0].key == "password"
    wrong = await scene.refused("import", **given, password="hunter3")
    assert str(wrong) == "the password of what was given is wrong"
    done = await scene.call("import", **given, password="hunter2", dry_run=True)
    assert done["certificate"]["subject"] == "CN=sip.a.example"
    assert not scene.folder.exists()
    await scene.call("import", **given, password="hunter2")
    assert scene.names() == ["main"]


async def test_a_key_apart(scene):
    given = {"name": "main", "data_base64": b64(LEAF.cert_pem)}
    alone = await scene.refused("import", **given)
    assert "no key is inside" in str(alone)
    assert alone.problems[0].key == "data_base64"
    foreign = await scene.refused("import", **given, key_base64=b64(pem_of(new_key())))
    assert "does not belong" in str(foreign)
    await scene.call("import", **given, key_base64=b64(LEAF.key_pem))
    assert scene.names() == ["main"]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "..",
        "../main",
        "/etc/main",
        "a/b",
        "a\\b",
        ".hidden",
        "ca",
        "CA",
        "a b",
        "a\nb",
        "ä",
        "-a",
    ],
)
async def test_a_name_that_could_lead_elsewhere_is_refused(scene, name):
    given = {"name": name, "domains": ["a.example"]}
    for method, params in (
        ("import", {"name": name, "data_base64": b64(LEAF.cert_pem + LEAF.key_pem)}),
        ("self_signed", given),
        ("request", given),
    ):
        refused = await scene.refused(method, **params)
        assert refused.problems[0].key == "name"
    assert not scene.folder.exists()
    assert scene.path.read_text() == TEXT


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("$$$", "this is no Base64"),
        (b64(b""), "is empty"),
        (b64(b"nonsense"), "is neither PEM nor PKCS #12"),
    ],
)
async def test_what_is_no_certificate_is_told(scene, data, said):
    assert said in str(await scene.refused("import", name="main", data_base64=data))


async def test_what_is_too_large_is_refused_before_it_is_read(scene):
    refused = await scene.refused("import", name="main", data_base64="A" * (2 << 20))
    assert refused.kind == "params"


async def test_one_that_is_there_stays_unless_it_is_to_be_replaced(scene):
    given = {"name": "main", "data_base64": b64(LEAF.cert_pem + LEAF.key_pem)}
    await scene.call("import", **given)
    again = await scene.refused("import", **given)
    assert again.kind == "not now"
    other = AUTHORITY.issue(["b.example"], NOW)
    given["data_base64"] = b64(other.cert_pem + other.key_pem)
    done = await scene.call("import", **given, replace=True)
    assert done["changed"] is None
    assert scene.kernel.certificates.own("main").certificate == other.certificate


async def test_files_elsewhere_are_left_alone_and_the_table_names_the_new_ones(scene):
    old = scene.path.parent / "old.p12"
    old.write_bytes(
        pkcs12.serialize_key_and_certificates(
            b"x", LEAF.key, LEAF.certificate, None, BestAvailableEncryption(b"hunter2")
        )
    )
    table = '\n[certificate.main] # ours\npkcs12_file = "old.p12"\npkcs12_password = "hunter2"\n'
    scene.path.write_text(TEXT + table)
    await scene.kernel.reload()
    before = old.read_bytes()
    other = AUTHORITY.issue(["b.example"], NOW)
    given = b64(other.cert_pem + other.key_pem)
    await scene.call("import", name="main", data_base64=given, replace=True)
    assert old.read_bytes() == before
    assert scene.path.read_text() == TEXT + (
        '\n[certificate.main] # ours\ncert_file = "tls/main.crt"\nkey_file = "tls/main.key"\n'
    )


async def test_where_the_change_fails_the_files_are_as_they_were(scene, monkeypatch):
    async def fails(*_):
        raise ControlError("reload", "something else is wrong")

    monkeypatch.setattr(type(scene.kernel), "reload", fails)
    given = b64(LEAF.cert_pem + LEAF.key_pem)
    await scene.refused("import", name="main", data_base64=given)
    assert list(scene.folder.iterdir()) == []
    assert scene.path.read_text() == TEXT


async def test_what_partners_stumble_over_is_noted(scene):
    end = NOW - timedelta(days=3)
    old = AUTHORITY.issue(["a.example"], end - timedelta(days=30), 30)
    given = b64(old.cert_pem + old.key_pem)
    notes = (await scene.call("import", name="old", data_base64=given, dry_run=True))["notes"]
    assert notes[0].startswith("it expired on ")
    assert "is not inside" in notes[1]


# ---------------------------------------------------------------- made


async def test_a_request_and_its_answer(scene):
    made = await scene.call("request", name="main", domains=["sip.a.example", "a.example"])
    csr = x509.load_pem_x509_csr(made["request"].encode())
    assert made["files"] == [str(scene.folder / "main.csr"), str(scene.folder / "main.key")]
    assert scene.names() == []
    answer = AUTHORITY.issue_for(csr, NOW, 30, "both")
    await scene.call("import", name="main", data_base64=b64(answer.cert_pem))
    assert scene.names() == ["main"]
    key = (scene.folder / "main.key").read_bytes()
    again = await scene.call("request", name="main", domains=["a.example"])
    assert again["files"] == [str(scene.folder / "main.csr")]
    assert (scene.folder / "main.key").read_bytes() == key


@pytest.mark.parametrize("domain", ["*.a.example", "192.0.2.1", "nodot", "a..b"])
async def test_what_is_no_domain_is_refused_beside_its_field(scene, domain):
    for method in ("request", "self_signed"):
        refused = await scene.refused(method, name="main", domains=[domain])
        assert refused.problems[0].key == "domains"


@pytest.mark.parametrize("method", ["request", "self_signed"])
async def test_a_key_of_rsa_is_made_beside_what_passes(scene, monkeypatch, method):
    def made(kind):
        assert current_thread() is not main_thread()  # it takes as long as hundreds of messages
        return new_key(kind)

    monkeypatch.setattr("sipx.control.certificates.new_key", made)
    await scene.call(method, name="lab", domains=["lab.a.example"], key_type="rsa")


async def test_a_self_signed_one_is_made_and_renewed_with_its_key(scene):
    made = await scene.call("self_signed", name="lab", domains=["lab.a.example"], days=40)
    assert made["certificate"]["root"]
    assert scene.names() == ["lab"]
    assert (await scene.call("show", name="lab"))["renewal"] == "self-signed"
    before = made["certificate"]
    after = (await scene.call("renew", name="lab"))["certificate"]
    assert after["spki"] == before["spki"]
    assert after["serial"] != before["serial"]
    assert after["names"] == before["names"]
    assert after["days_left"] in (39, 40)
    shown = await scene.call("show", name="lab")
    assert shown["certificate"]["serial"] == after["serial"]


async def test_one_of_an_authority_is_renewed_by_a_request_with_its_key(scene):
    given = b64(LEAF.cert_pem + LEAF.key_pem)
    await scene.call("import", name="main", data_base64=given)
    made = await scene.call("renew", name="main")
    csr = x509.load_pem_x509_csr(made["request"].encode())
    assert csr.public_key() == LEAF.certificate.public_key()
    assert made["certificate"] is None
    assert scene.kernel.certificates.own("main").certificate == LEAF.certificate


# ---------------------------------------------------------------- shown


async def test_one_is_shown_in_full_and_without_its_key(scene):
    chain = LEAF.cert_pem + AUTHORITY.cert_pem + LEAF.key_pem
    await scene.call("import", name="main", data_base64=b64(chain))
    scene.path.write_text(scene.path.read_text() + '\n[wan]\ncertificate = "main"\n')
    await scene.kernel.reload()
    shown = await scene.call("show", name="main")
    one = shown["certificate"]
    assert one["subject"] == "CN=sip.a.example"
    assert one["issuer"] == "CN=a laboratory"
    assert one["key"] == "EC 256"
    assert one["identities"] == ["a.example", "sip.a.example"]
    assert set(one["usages"]) == {"serverAuth", "clientAuth"}
    assert one["not_after"] == LEAF.certificate.not_valid_after_utc.timestamp()
    assert shown["used_by"] == ["wan"]
    assert shown["renewal"] == "request"
    assert {finding["code"][:6] for finding in shown["findings"]} == {"SIPX-T"}


async def test_one_whose_files_are_gone_is_shown_with_its_error(scene):
    leaf = self_signed(["a.example"], new_key(), NOW)
    given = b64(leaf.cert_pem + leaf.key_pem)
    await scene.call("import", name="main", data_base64=given)
    (scene.folder / "main.crt").unlink()
    await scene.kernel.certificates.look_aside()
    shown = await scene.call("show", name="main")
    assert shown["certificate"] is not None  # the last good one stays in use
    assert "cannot be read" in shown["error"]


@pytest.mark.parametrize("method", ["show", "renew"])
async def test_one_that_is_not_there_is_told(scene, method):
    refused = await scene.refused(method, name="mian")
    assert refused.kind == "not found"

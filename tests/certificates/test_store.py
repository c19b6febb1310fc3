"""Files that change while the proxy runs: new ones are taken up, broken ones are not."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

from sipx.certificates import CertificateError, CertificateStore
from sipx.config.model import KernelConfig
from sipx.identity import Partner
from sipx.testing import Authority


class Files:
    """A certificate, a list of authorities and one of a partner, in files."""

    def __init__(self, directory):
        self.directory = directory
        self.ca = Authority("CA")
        self.ca.write(directory, "ca")
        self.first = self.ca.leaf(dns=["one.example"])
        self.second = self.ca.leaf(dns=["two.example"])
        self.first.write(directory, "own")
        self.told = []
        self.now = self.ca.now.timestamp() + 3600

    def store(self, partners=(), **trust):
        config = KernelConfig.model_validate(
            {
                "domains": ["a.example"],
                "certificate": {
                    "main": {
                        "cert_file": str(self.directory / "own.crt"),
                        "key_file": str(self.directory / "own.key"),
                    }
                },
                "interface": {
                    "far": {"port": 0, "protocol": "mtls", "certificate": "main"},
                },
                "wan": {"certificate": "main"},
                "trust": {"ca": str(self.directory / "ca.crt"), **trust},
            }
        )
        return CertificateStore(
            config,
            partners,
            wall=lambda: self.now,
            trouble=lambda *told: self.told.append(told),
        )


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)


def test_what_is_there_at_the_start_is_loaded(files):
    store = files.store()
    assert store.own("main").facts.ids == {b"one.example"}
    assert store.trust().anchors == (files.ca.certificate,)
    [state] = store.states()
    assert state.used_by == ("wan", "interface far")
    assert state.error is None
    assert files.told == [("certificate", "main", ""), ("trust", "[trust]", "")]


def test_nothing_is_read_again_that_has_not_changed(files):
    store = files.store()
    generation = store.generation
    assert not store.look()
    assert store.generation == generation


def test_a_renewed_certificate_is_taken_up(files):
    store = files.store()
    generation = store.generation
    files.second.write(files.directory, "own")
    assert store.look()
    assert store.own("main").facts.ids == {b"two.example"}
    assert store.generation == generation + 1


def test_a_half_written_pair_keeps_the_old_until_the_other_half_is_there(files):
    store = files.store()
    (files.directory / "own.crt").write_bytes(files.second.cert_pem)
    assert not store.look()
    assert store.own("main").facts.ids == {b"one.example"}
    [state] = store.states()
    assert state.own is not None
    assert "does not belong" in state.error.text
    kind, name, text = files.told[-1]
    assert (kind, name) == ("certificate", "main")
    assert text.endswith("the last good one stays in use")
    (files.directory / "own.key").write_bytes(files.second.key_pem)
    assert store.look()
    assert store.own("main").facts.ids == {b"two.example"}
    assert files.told[-1] == ("certificate", "main", "")


def test_a_broken_file_is_told_once_for_each_state_of_it(files):
    store = files.store()
    (files.directory / "own.crt").write_bytes(b"broken")
    store.look()
    count = len(files.told)
    store.look()
    assert len(files.told) == count


def test_a_file_that_was_never_good_is_told_to_who_asks(files):
    (files.directory / "own.crt").unlink()
    store = files.store()
    with pytest.raises(CertificateError, match="No such file"):
        store.own("main")
    files.first.write(files.directory, "own")
    assert store.look()
    assert store.own("main").facts.ids == {b"one.example"}


def test_authorities_and_lists_of_revoked_ones_are_taken_up_as_well(files):
    crl = files.directory / "revoked.pem"
    crl.write_bytes(files.ca.revoke())
    store = files.store(crl=[str(crl)])
    assert len(store.trust().crls[0]) == 0
    crl.write_bytes(files.ca.revoke(files.first))
    other = Authority("Other CA")
    (files.directory / "ca.crt").write_bytes(files.ca.pem + other.pem)
    assert store.look()
    assert len(store.trust().crls[0]) == 1
    assert store.trust().anchors == (files.ca.certificate, other.certificate)


def test_the_authorities_of_a_partner_are_its_own(files):
    own = Authority("Away CA")
    path = own.write(files.directory, "away")
    store = files.store([Partner("away.example", ca=(path,)), Partner("other.example")])
    assert store.trust("away.example").anchors == (own.certificate,)
    assert store.trust().anchors == (files.ca.certificate,)
    path.write_bytes(b"broken")
    store.look()
    assert store.trust("away.example").anchors == (own.certificate,)
    assert [name for name, _ in store.trust_errors()] == ["away.example"]


def test_a_directory_of_authorities(files):
    folder = files.directory / "cas"
    folder.mkdir()
    others = [Authority(f"CA {number}") for number in range(2)]
    others[0].write(folder, "one")
    (folder / "README").write_text("no certificate")
    (folder / "bad.pem").write_text("no certificate either")
    store = files.store(ca=str(folder))
    assert store.trust().anchors == (others[0].certificate,)
    others[1].write(folder, "two")
    assert store.look()
    assert set(store.trust().anchors) == {other.certificate for other in others}


def test_what_is_unreadable_in_a_bundle_does_not_spoil_the_rest(files):
    broken = b"-----BEGIN CERTIFICATE-----\nTm90aGluZw==\n-----END CERTIFICATE-----\n"
    (files.directory / "ca.crt").write_bytes(broken + files.ca.pem)
    assert files.store().trust().anchors == (files.ca.certificate,)


def test_the_authorities_of_the_system_are_read_only_when_somebody_asks(files):
    store = files.store(ca="system")
    assert files.told == [("certificate", "main", "")]
    assert isinstance(store.trust().anchors, tuple)


# ---------------------------------------------------------------- renewals that are none


def test_an_expired_file_does_not_replace_a_certificate_that_is_valid(files):
    store = files.store()
    day = timedelta(days=1)
    old = files.ca.leaf(
        dns=["old.example"], not_before=files.ca.now - 9 * day, not_after=files.ca.now - day
    )
    old.write(files.directory, "own")
    assert not store.look()
    assert store.own("main").facts.ids == {b"one.example"}
    said = files.told[-1][2]
    assert "the new one expired on" in said
    assert "the last good one stays in use" in said
    files.second.write(files.directory, "own")
    assert store.look()
    assert store.own("main").facts.ids == {b"two.example"}
    assert files.told[-1] == ("certificate", "main", "")


def test_a_certificate_of_tomorrow_is_taken_up_tomorrow(files):
    store = files.store()
    files.ca.leaf(dns=["next.example"], not_before=files.ca.now + timedelta(days=1)).write(
        files.directory, "own"
    )
    assert not store.look()
    assert "is valid only from" in files.told[-1][2]
    files.now += 86400
    assert store.look()
    assert store.own("main").facts.ids == {b"next.example"}


def test_where_none_is_valid_the_new_one_is_taken(files):
    store = files.store()
    day = timedelta(days=1)
    files.now += 400 * 86400
    files.ca.leaf(
        dns=["newer.example"], not_before=files.ca.now, not_after=files.ca.now + 200 * day
    ).write(files.directory, "own")
    assert store.look()
    assert store.own("main").facts.ids == {b"newer.example"}


def test_what_is_taken_up_is_told(files, caplog):
    caplog.set_level(logging.INFO, "sipx.certificates")
    store = files.store()
    store.trust()
    assert caplog.messages == []
    files.second.write(files.directory, "own")
    Authority("Another").write(files.directory, "ca")
    assert store.look()
    own, trust = caplog.messages
    assert own.startswith("certificate main: new files are in use: subject CN=two.example")
    assert store.own("main").facts.fingerprint in own
    assert trust == (
        "authorities of [trust]: new files are in use: 1 authorities, 0 revocation lists"
    )


def test_a_link_that_leads_nowhere_does_not_hide_what_is_new_beside_it(files):
    folder = files.directory / "authorities"
    folder.mkdir()
    (folder / "aaa.pem").symlink_to(files.directory / "nowhere")
    files.ca.write(folder, "ca")
    store = files.store(ca=str(folder))
    assert len(store.trust().anchors) == 1
    Authority("Another").write(folder, "zzz")
    assert store.look()
    assert len(store.trust().anchors) == 2


def test_a_file_may_hold_several_revocation_lists(files):
    other = Authority("Another")
    path = files.directory / "lists.crl"
    path.write_bytes(files.ca.revoke(files.first) + other.revoke())
    crls = files.store(crl=[str(path)]).trust().crls
    assert {crl.issuer for crl in crls} == {files.ca.name, other.name}


def test_of_several_certificates_a_broken_one_does_not_stop_the_others(files):
    store = files.store()
    assert [own.name for own in store.usable(("lost", "main"))] == ["main"]
    with pytest.raises(CertificateError, match=r"no \[certificate\.lost\]"):
        store.usable(("lost",))
    with pytest.raises(CertificateError, match="no certificate is named"):
        store.usable(())


def test_what_a_password_file_holds_is_no_reason_to_stop_looking(files):
    """A renewal that writes rubbish is told, and the next good one is taken up."""
    files.password = files.directory / "password"
    files.password.write_bytes(b"\xef\xbb\xbfsecret\r\n")
    own = files.first
    bundle = pkcs12.serialize_key_and_certificates(
        b"main", own.key, own.certificate, None, BestAvailableEncryption(b"secret")
    )
    (files.directory / "own.pfx").write_bytes(bundle)
    config = KernelConfig.model_validate(
        {
            "domains": ["a.example"],
            "certificate": {
                "main": {
                    "pkcs12_file": str(files.directory / "own.pfx"),
                    "pkcs12_password": {"file": str(files.password)},
                }
            },
        },
        context={"base": files.directory},
    )
    store = CertificateStore(config, trouble=lambda *told: files.told.append(told))
    assert store.own("main").facts.ids == {b"one.example"}
    files.password.write_bytes(b"\xff\xfe\xff")
    assert not store.look()
    assert "cannot be read" in files.told[-1][2]
    files.password.write_text("secret")
    assert store.look()

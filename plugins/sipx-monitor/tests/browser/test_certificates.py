"""Certificates: imported, requested, made, renewed, and then shown to partners."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PublicFormat,
    pkcs12,
)
from cryptography.x509.oid import ExtensionOID, NameOID
from playwright.sync_api import expect

from sipx.testing import Authority

from .console import changed, draft_bar, pick, save, turn, turn_to

WORD = "forty-two"
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def authority():
    return Authority("Another authority")


@pytest.fixture
def main(page, original):
    return turn_to(page, "certificates")


def signed(authority, request):
    """What the authority sends back."""
    names = request.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    made = x509.CertificateBuilder(authority.certificate.subject, request.subject)
    made = made.public_key(request.public_key()).serial_number(x509.random_serial_number())
    made = made.not_valid_before(authority.now).not_valid_after(authority.now + 60 * DAY)
    return made.add_extension(names.value, critical=False).sign(authority.key, hashes.SHA256())


def asked(page, main, button, name):
    """A dialog that asks for a certificate, filled in but for what belongs to it alone."""
    main.get_by_role("button", name=button).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox", name="Name", exact=True).fill(name)
    return dialog


def row(main, name):
    table = main.get_by_role("table", name="Certificates", exact=True)
    return table.get_by_role("row").filter(has=main.page.get_by_role("cell", name=name, exact=True))


def table_of(name):
    return [
        f"+[certificate.{name}]",
        f'+cert_file = "tls/{name}.crt"',
        f'+key_file = "tls/{name}.key"',
    ]


def without_empty(lines):
    return [line for line in lines if line != "+"]


def key_of(certificate):
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def certificate(sipx, name):
    return x509.load_pem_x509_certificate((sipx.folder / f"tls/{name}.crt").read_bytes())


def test_pem_is_imported_and_chosen_for_wan_and_federation(page, sipx, original, main, authority):
    issued = authority.leaf(dns=("sip.example.com", "example.com"))
    dialog = asked(page, main, "Import", "bought")
    dialog.get_by_label("File", exact=True).set_input_files(
        {
            "name": "bought.pem",
            "mimeType": "application/x-pem-file",
            "buffer": issued.cert_pem + authority.pem + issued.key_pem,
        }
    )
    dialog.get_by_role("button", name="Import").click()
    expect(dialog).to_have_count(0)
    expect(row(main, "bought")).to_contain_text("days left")
    assert without_empty(changed(original, sipx.text)) == table_of("bought")
    assert (sipx.folder / "tls/bought.key").stat().st_mode & 0o777 == 0o600
    before = sipx.text
    wan = turn_to(page, "wan")
    pick(wan.get_by_role("combobox", name="Certificate", exact=True), "bought")
    expect(wan).to_contain_text("Another authority")  # who it is from stands there before it counts
    federation = turn_to(page, "federation")
    pick(federation.get_by_role("combobox", name="Certificate", exact=True), "bought")
    expect(draft_bar(page)).to_contain_text("2 changes")
    save(page)
    assert changed(before, sipx.text) == [
        '-certificate = "main"  # ordered in May',
        '+certificate = "bought"  # ordered in May',
        '+certificate = "bought"',
    ]
    expect(row(turn_to(page, "certificates"), "bought")).to_contain_text("wan")


def test_pkcs12_wants_its_password_and_leaves_the_draft_alone(
    page, sipx, original, main, authority
):
    turn(turn_to(page, "wan").get_by_label("Use other public address"))
    turn_to(page, "certificates")
    issued = authority.leaf(dns=("windows.example.com",))
    locked = pkcs12.serialize_key_and_certificates(
        b"windows", issued.key, issued.certificate, None, BestAvailableEncryption(WORD.encode())
    )
    dialog = asked(page, main, "Import", "windows")
    dialog.get_by_label("File", exact=True).set_input_files(
        {"name": "windows.pfx", "mimeType": "application/x-pkcs12", "buffer": locked}
    )
    password = dialog.get_by_label("Password of the file")
    dialog.get_by_role("button", name="Import").click()
    expect(password).to_have_accessible_description(re.compile("is locked; give its password"))
    password.fill("forty-one")
    dialog.get_by_role("button", name="Import").click()
    expect(password).to_have_accessible_description(re.compile("the password of .+ is wrong"))
    expect(password).to_have_attribute("aria-invalid", "true")
    assert sipx.text == original
    password.fill(WORD)
    dialog.get_by_role("button", name="Import").click()
    expect(dialog).to_have_count(0)
    expect(row(main, "windows")).to_contain_text("days left")
    assert WORD not in sipx.text
    # It is the console itself that has changed the file: nobody else, and no conflict.
    bar = draft_bar(page)
    expect(bar).to_contain_text("1 change")
    save(page)
    assert without_empty(changed(original, sipx.text)) == [
        "-use_public_address = false",
        "+use_public_address = true",
        *table_of("windows"),
    ]


def test_a_request_is_made_and_its_answer_imported(page, sipx, original, main, authority):
    dialog = asked(page, main, "Request", "ordered")
    dialog.get_by_label("Names in the certificate").fill("sip.example.com\nexample.com")
    dialog.get_by_role("button", name="Make key and request").click()
    shown = dialog.get_by_label("Certificate request").input_value()
    with page.expect_download() as download:
        dialog.get_by_role("button", name="Save as a file").click()
    assert download.value.suggested_filename == "ordered.csr"
    assert download.value.path().read_text(encoding="ascii") == shown
    dialog.get_by_role("button", name="Copy").click()
    expect(dialog.get_by_role("button", name="Copied")).to_be_visible()
    dialog.get_by_role("button", name="Done").click()
    request = x509.load_pem_x509_csr(shown.encode())
    names = request.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
    assert names.get_values_for_type(x509.DNSName) == ["sip.example.com", "example.com"]
    assert sipx.text == original  # the certificate is yet to come
    answer = signed(authority, request).public_bytes(Encoding.PEM)
    dialog = asked(page, main, "Import", "ordered")
    dialog.get_by_label("Or as text").fill(answer.decode() + authority.pem.decode())
    dialog.get_by_role("button", name="Import").click()
    expect(row(main, "ordered")).to_contain_text("days left")
    assert without_empty(changed(original, sipx.text)) == table_of("ordered")


def test_a_self_signed_one_is_made_and_renewed_with_its_key(page, sipx, original, main):
    dialog = asked(page, main, "Self-signed", "lab")
    dialog.get_by_label("Names in the certificate").fill("")
    dialog.get_by_role("button", name="Make it").click()
    expect(dialog.get_by_role("alert")).to_be_visible()
    dialog.get_by_label("Names in the certificate").fill("lab.example.com")
    dialog.get_by_label("Valid for days").fill("30")
    dialog.get_by_role("button", name="Make it").click()
    expect(row(main, "lab")).to_contain_text("29 days left")
    first = certificate(sipx, "lab")
    row(main, "lab").click()
    expect(dialog).to_contain_text("lab.example.com")
    dialog.get_by_role("button", name="Renew").click()
    page.get_by_role("dialog", name="Renew lab?").get_by_role("button", name="Renew").click()
    expect(page.get_by_role("status").filter(has_text="Renewed.")).to_be_visible()
    second = certificate(sipx, "lab")
    assert second.serial_number != first.serial_number
    assert key_of(second) == key_of(first)
    dialog.get_by_role("button", name="Done").click()
    assert without_empty(changed(original, sipx.text)) == table_of("lab")


def test_what_an_authority_has_issued_is_renewed_by_a_request(page, sipx, original, main):
    row(main, "main").click()
    page.get_by_role("dialog").get_by_role("button", name="Renew").click()
    page.get_by_role("dialog", name="Renew main?").get_by_role("button", name="Renew").click()
    made = page.get_by_role("dialog", name="The request for the authority")
    shown = x509.load_pem_x509_csr(made.get_by_label("Certificate request").input_value().encode())
    assert key_of(shown) == key_of(certificate(sipx, "main"))
    assert not shown.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    made.get_by_role("button", name="Done").click()
    expect(page.get_by_role("dialog", name="Certificate main")).to_be_visible()
    assert sipx.text == original

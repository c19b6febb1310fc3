"""Each dialog of the original: edited, saved, in use; the file has the value and its comments."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from .console import changed, draft_bar, pick, save, turn, turn_to


def test_wan_settings(page, sipx, original):
    main = turn_to(page, "wan")
    pick(main.get_by_role("combobox", name="Certificate", exact=True), "other")
    turn(main.get_by_label("Use other public address"))
    main.get_by_label("Public IP address or name").fill("198.51.100.7")
    main.get_by_label("Public port", exact=True).fill("5071")
    save(page)
    assert changed(original, sipx.text) == [
        '-certificate = "main"  # ordered in May',
        "-use_public_address = false",
        '-public_address = "192.0.2.1"  # from the provider\'s letter',
        "-public_port = 5061",
        '+certificate = "other"  # ordered in May',
        "+use_public_address = true",
        '+public_address = "198.51.100.7"  # from the provider\'s letter',
        "+public_port = 5071",
    ]
    [office] = [i for i in sipx.json("status")["interfaces"] if i["name"] == "office"]
    assert office["advertised"] == "198.51.100.7:5071"


def test_the_certificate_is_shown_with_subject_issuer_and_validity(page):
    main = turn_to(page, "wan")
    for words in ("sip.example.com", "Site authority"):
        expect(main).to_contain_text(words)


def test_detect_ip_says_what_is_missing(page):
    main = turn_to(page, "wan")
    expect(main.get_by_role("button", name="Detect IP")).to_be_disabled()
    expect(main).to_contain_text("No STUN server is named yet")


def test_a_stun_server_is_named_where_the_address_is_detected(page, sipx, original):
    main = turn_to(page, "wan")
    servers = main.get_by_label("STUN servers")
    servers.press_sequentially("127.0.0.1:99999")
    expect(servers).to_be_focused()
    expect(main.get_by_role("alert")).to_contain_text("'127.0.0.1:99999' has no port")
    servers.press("Backspace")
    expect(main.get_by_role("alert")).to_have_count(0)
    save(page)
    assert changed(original, sipx.text) == [
        "-servers = []  # nobody is asked",
        '+servers = ["127.0.0.1:9999"]  # nobody is asked',
    ]
    expect(main.get_by_role("button", name="Detect IP")).to_be_enabled()


def test_an_interface_is_activated_and_its_properties_are_edited(page, sipx, original):
    main = turn_to(page, "interfaces")
    turn(main.get_by_role("switch", name="Activate branch"))
    row = main.get_by_role("row").filter(has_text="branch")
    row.get_by_role("button", name="Properties").click()
    dialog = page.get_by_role("dialog")
    pick(dialog.get_by_label("Protocol", exact=True), "udp")
    dialog.get_by_role("button", name="Done").click()
    expect(draft_bar(page)).to_contain_text("2 changes")
    save(page)
    assert changed(original, sipx.text) == [
        "-enabled = false  # until the line is there",
        "+enabled = true  # until the line is there",
        '-protocol = "tcp"',
        '+protocol = "udp"',
    ]
    expect(row).to_contain_text("Listening")


def test_an_interface_is_added_and_removed_again(page, sipx, original):
    main = turn_to(page, "interfaces")
    main.get_by_role("button", name="Add", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("annex")
    pick(dialog.get_by_label("IP address"), "127.0.0.1")
    dialog.get_by_label("Port").fill("0")
    pick(dialog.get_by_label("Protocol"), "TCP")
    dialog.get_by_role("button", name="Add").click()
    expect(dialog).to_have_count(0)
    save(page)
    added = changed(original, sipx.text)
    assert "+[interface.annex]" in added
    assert not [line for line in added if line.startswith("-")]
    row = main.get_by_role("row").filter(has_text="annex")
    expect(row).to_contain_text("Listening")
    row.get_by_role("button", name="Remove annex").click()
    question = page.get_by_role("dialog")
    expect(question).to_contain_text("annex")
    question.get_by_role("button", name="Cancel").click()
    expect(draft_bar(page)).to_have_count(0)
    row.get_by_role("button", name="Remove annex").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    save(page)
    assert [line for line in changed(original, sipx.text) if line.strip("+-")] == []


def test_an_interface_that_cannot_be_is_refused_beside_its_field(page, sipx, original):
    main = turn_to(page, "interfaces")
    main.get_by_role("button", name="Add", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("annex")
    dialog.get_by_label("Port").fill("70000")
    dialog.get_by_role("button", name="Add").click()
    said = dialog.get_by_role("alert")
    expect(said.first).to_be_visible()
    expect(dialog.get_by_label("Port")).to_have_attribute("aria-invalid", "true")
    assert sipx.text == original


def test_lan_settings(page, sipx, original):
    main = turn_to(page, "lan")
    main.get_by_label("User name", exact=True).fill("uc")
    pick(main.get_by_label("Protocol", exact=True), "udp")
    save(page)
    assert changed(original, sipx.text) == [
        '-user = "ucserver"',
        '+user = "uc"',
        '-protocol = "tcp"',
        '+protocol = "udp"',
    ]
    assert sipx.json("config", "get", "lan.user")["value"] == "uc"


def test_a_password_is_written_and_never_shown(page, sipx, original):
    main = turn_to(page, "lan")
    pick(main.get_by_label("Where it comes from").first, "Typed here")
    main.get_by_label("Password", exact=True).fill("forty-two secret letters")
    bar = draft_bar(page)
    bar.get_by_role("button", name="Show diff").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("password")
    assert "forty-two" not in dialog.inner_text()
    page.keyboard.press("Escape")
    save(page)
    assert changed(original, sipx.text) == [
        '-password = { file = "lan.password" }  # in the safe',
        '+password = "forty-two secret letters"  # in the safe',
    ]
    page.reload()
    expect(main.get_by_label("User name", exact=True)).to_have_value("ucserver")
    assert "forty-two" not in page.content()
    assert "forty-two" not in sipx.said


def test_federation_and_its_interface(page, sipx, original):
    main = turn_to(page, "federation")
    turn(main.get_by_role("switch", name="Use open federation"))
    pick(main.get_by_role("combobox", name="Certificate", exact=True), "main")
    save(page)
    assert changed(original, sipx.text) == [
        "-enabled = false",
        "+enabled = true",
        '+certificate = "main"',
    ]
    for words in ("DNS-SRV record found", "NAT type", "Public IP", "Bind to IP address"):
        expect(main).to_contain_text(words)
    expect(main).to_contain_text("Partners do not get through")
    record = main.get_by_role("region", name="Certificate", exact=True)
    expect(record).to_contain_text("the DNS gave no answer")  # so nobody knows what is published
    expect(record).not_to_contain_text("No record is published yet")


def test_the_address_and_the_port_of_federation_and_the_public_one(page, sipx, original):
    main = turn_to(page, "federation")
    turn(main.get_by_role("switch", name="Use open federation"))
    interface = main.get_by_role("region", name="Interface", exact=True)
    pick(interface.get_by_label("Bind to IP address"), "all IPv4")
    interface.get_by_label("Port", exact=True).fill("70000")
    said = interface.get_by_role("alert")
    expect(said).to_contain_text("70000")
    expect(draft_bar(page).get_by_role("button", name="Save and apply")).to_be_disabled()
    interface.get_by_label("Port", exact=True).fill("0")
    expect(said).to_have_count(0)
    turn(interface.get_by_label("Use other public address"))
    save(page)
    assert changed(original, sipx.text) == [
        "-use_public_address = false",
        "+use_public_address = true",
        "-enabled = false",
        '-bind = "127.0.0.1"',
        "+enabled = true",
        '+bind = "*"',
    ]
    expect(interface).to_contain_text("Listening")
    expect(interface).to_contain_text("192.0.2.1")  # what stands in messages now
    [own] = [i for i in sipx.json("status")["interfaces"] if i["name"] == "open-federation"]
    assert own["advertised"].startswith("192.0.2.1:")


def test_where_uc_servers_log_on_and_with_which_certificate(page, sipx, original):
    main = turn_to(page, "lan")
    listener = main.get_by_role("region", name="Where they log on")
    expect(listener.get_by_role("combobox", name="Certificate", exact=True)).to_have_count(0)
    pick(listener.get_by_label("Protocol", exact=True), "tls")
    pick(listener.get_by_label("IP address"), "all IPv4")
    expect(listener).to_contain_text("main of WAN is used")
    pick(listener.get_by_role("combobox", name="Certificate", exact=True), "other")
    expect(listener).to_contain_text("other.example.com")
    expect(draft_bar(page)).to_contain_text("rebinds lan")
    save(page)
    assert changed(original, sipx.text) == [
        '-bind = "127.0.0.1"',
        '+bind = "*"',
        '-protocol = "tcp"',
        '+protocol = "tls"',
        '+certificate = "other"',
    ]
    [lan] = [i for i in sipx.json("status")["interfaces"] if i["name"] == "lan"]
    assert (lan["bind"], lan["protocol"], lan["state"]) == ("*", "tls", "listening")


def test_stun_servers(page, sipx, original):
    main = turn_to(page, "nat")
    main.get_by_label("Servers that are asked").fill("127.0.0.1:9")
    save(page)
    assert changed(original, sipx.text) == [
        "-servers = []  # nobody is asked",
        '+servers = ["127.0.0.1:9"]  # nobody is asked',
    ]


def test_static_routes_are_activated_and_trusted_in_place(page, sipx, original):
    main = turn_to(page, "routes")
    turn(main.get_by_role("switch", name="Activate partner.example"), on=False)
    turn(main.get_by_role("switch", name="Trustworthy: partner.example"), on=False)
    save(page)
    after = changed(original, sipx.text)
    assert "+enabled = false" in after
    assert "-trusted = true" in after
    assert "+trusted = false" in after
    assert "# The partner since 2019." in sipx.text
    [route] = [r for r in sipx.json("routes", "list")["routes"] if r["domain"] == "partner.example"]
    assert (route["enabled"], route["trusted"]) == (False, False)


def test_a_route_is_added_edited_and_removed(page, sipx, original):
    main = turn_to(page, "routes")
    main.get_by_role("button", name="Add", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Domain").fill("other.example")
    dialog.get_by_label("Access server").fill("192.0.2.40")
    dialog.get_by_role("button", name="Add").click()
    expect(dialog).to_have_count(0)
    save(page)
    assert '+[static-routes.route."other.example"]' in changed(original, sipx.text)
    row = main.get_by_role("row").filter(has_text="other.example")
    row.get_by_role("button", name="Properties").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Port", exact=True).fill("5080")
    dialog.get_by_role("button", name="Done").click()
    save(page)
    assert sipx.json("config", "get", 'static-routes.route."other.example".port')["value"] == 5080
    row.get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    save(page)
    assert [line for line in changed(original, sipx.text) if line.strip("+-")] == []


def test_an_access_server_with_a_space_is_refused_beside_its_field(page, sipx, original):
    main = turn_to(page, "routes")
    main.get_by_role("button", name="Add", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Domain").fill("other.example")
    server = dialog.get_by_label("Access server")
    server.fill("sip other.example")
    dialog.get_by_role("button", name="Add").click()
    expect(dialog.get_by_role("alert")).to_contain_text("'sip other.example' is no server")
    expect(server).to_have_attribute("aria-invalid", "true")
    server.fill("192.0.2.40, 192.0.2.41")
    pick(dialog.get_by_label("Protocol"), "udp")
    dialog.get_by_role("button", name="Add").click()
    expect(dialog).to_have_count(0)
    save(page)
    assert '+server = ["192.0.2.40", "192.0.2.41"]' in changed(original, sipx.text)
    main.get_by_role("row").filter(has_text="other.example").get_by_role(
        "button", name="Properties"
    ).click()
    server = dialog.get_by_label("Access server")
    expect(server).to_have_value("192.0.2.40\n192.0.2.41")
    server.fill("192.0.2.42")
    dialog.get_by_role("button", name="Done").click()
    save(page)
    assert '+server = "192.0.2.42"' in changed(original, sipx.text)


def test_the_master_switch_greys_the_routes(page, sipx, original):
    main = turn_to(page, "routes")
    turn(main.get_by_role("switch", name="Use static routes"), on=False)
    save(page)
    assert changed(original, sipx.text) == ["-enabled = true", "+enabled = false"]
    expect(main).to_contain_text("All routes are off")


def test_a_uri_is_explained(page):
    main = turn_to(page, "routes")
    main.get_by_role("tab", name="Explain a URI").click()
    main.get_by_label("Request-URI").fill("sip:bob@example.com")
    main.get_by_role("button", name="Explain").click()
    expect(main).to_contain_text("127.0.0.1")


def test_diagnostics(page, sipx, original):
    main = turn_to(page, "logs")
    main.get_by_role("tab", name="Settings").click()
    pick(main.get_by_label("Log level", exact=True), "debug")
    main.get_by_label("Maximum size of a log file").fill("30MB")
    turn(main.get_by_label("Delete log files daily"))
    main.get_by_label("Log file directory").fill("elsewhere")
    save(page)
    assert changed(original, sipx.text) == [
        '-level = "info"',
        '+level = "debug"',
        '-directory = "log"',
        '-max_size = "20MB"  # the disk is small',
        '+directory = "elsewhere"',
        '+max_size = "30MB"  # the disk is small',
        "+delete_daily = true",
    ]
    assert (sipx.folder / "elsewhere").is_dir()


def test_all_is_not_well_while_log_files_cannot_be_written(page, sipx, original):
    overview = turn_to(page, "overview").get_by_role("region", name="Health")
    expect(overview).to_contain_text("All is well")
    main = turn_to(page, "logs")
    main.get_by_role("tab", name="Settings").click()
    main.get_by_label("Log file directory").fill("tls/main.crt")
    save(page)
    turn_to(page, "overview")
    expect(overview).to_contain_text("cannot be written")
    expect(overview).to_contain_text("something wants to be looked at")
    expect(overview).not_to_contain_text("All is well")


def test_the_proxy_service_is_stopped_and_started(page, sipx, people):
    main = turn_to(page, "service")
    main.get_by_role("button", name="Stop", exact=True).click()
    question = page.get_by_role("dialog")
    expect(question).to_contain_text("no message and no call gets through")
    question.get_by_role("button", name="Stop", exact=True).click()
    expect(main.get_by_role("button", name="Start", exact=True)).to_be_enabled()
    state = main.get_by_role("region", name="State")
    expect(state).to_contain_text("stopped")
    expect(state).to_contain_text("0 of 3 listen")
    expect(state.get_by_text("Up", exact=True)).to_have_count(0)  # nothing is, but the process
    expect(turn_to(page, "overview")).to_contain_text("The proxy service does not run")
    for name in ("interfaces", "routes", "live", "config"):  # the console goes on all the same
        turn_to(page, name)
        expect(main.get_by_role("alert")).to_have_count(0)
    turn_to(page, "service")
    assert '"stopped"' in sipx.refused("service", "status", "--json")
    main.get_by_role("button", name="Start", exact=True).click()
    expect(main.get_by_role("button", name="Stop", exact=True)).to_be_enabled()
    people.through(sipx.place("office"))
    assert people.message() == 200


@pytest.mark.parametrize(
    "name", ["wan", "interfaces", "lan", "federation", "nat", "routes", "logs"]
)
def test_help_is_one_key_away(page, name):
    turn_to(page, name)
    page.keyboard.press("F1")
    expect(page).to_have_url(re.compile("#/help"))
    expect(page.get_by_role("main").get_by_role("heading", level=2).first).to_be_visible()

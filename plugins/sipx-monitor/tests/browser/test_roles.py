"""Who may only look sees no way to change anything, and the server refuses it all the same."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from .console import turn_to


def entered(sipx, new_page, role):
    page = new_page()
    page.goto(sipx.link("--role", role))
    page.get_by_role("navigation", name="Pages").wait_for()
    return page


def answer(page, method, **params):
    """What the server says to a page that asks all the same: its status."""
    return page.evaluate(
        """async ([method, params]) => {
            const answer = await fetch(`/api/${method}`, {
                method: 'POST', headers: {'Content-Type': 'application/json'},
                body: JSON.stringify(params)});
            return answer.status;
        }""",
        [method, params],
    )


CHANGE = {"edits": [{"op": "set", "key": "wan.public_port", "value": 5099}]}


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_settings_are_shown_and_not_changed(sipx, new_page, original, role):
    page = entered(sipx, new_page, role)
    main = turn_to(page, "wan")
    field = main.get_by_label("Public port", exact=True)
    expect(field).to_have_value("5061")
    expect(field).to_be_disabled()
    expect(main.get_by_label("Use other public address")).to_be_disabled()
    assert answer(page, "config.change", **CHANGE) == 403
    assert sipx.text == original


WITHOUT_REASON = """(why) => [...document.querySelectorAll(
    'main :is(button, input, select, textarea):disabled')]
  .filter((one) => one.offsetParent && !one.title && !one.closest('[title]')
    && !one.closest('.field')?.textContent.includes(why))
  .map((one) => (one.labels?.[0] ?? one).textContent.trim())"""
BARRED = {
    "live": [],
    "wan": ["Use other public address"],
    "interfaces": ["Add"],
    "certificates": ["Request…"],
    "lan": ["User name"],
    "nat": ["Detect now"],
    "partners": ["Check"],
    "routes": ["Add"],
    "checks": ["Run again"],
    "service": ["Stop", "Reload …"],
    "plugins": ["tcp is on"],
}
"""Of each page what a viewer sees and cannot use."""
KEYS = {"live": ["mark", "clear"], "interfaces": ["Add"], "routes": ["Add"]}


def test_what_a_viewer_may_not_do_says_why_and_no_key_offers_it(sipx, new_page):
    page = entered(sipx, new_page, "viewer")
    hints = page.get_by_role("contentinfo", name="Keys")
    for name, barred in BARRED.items():
        main = turn_to(page, name)
        for one in barred:
            control = main.get_by_role("button", name=one, exact=True).or_(
                main.get_by_label(one, exact=True)
            )
            expect(control.first).to_be_disabled()
        found = page.evaluate(WITHOUT_REASON, "Only an administrator changes settings.")
        assert found == [], name
        for label in KEYS.get(name, ()):
            expect(hints.get_by_text(label)).to_have_count(0)
    page.keyboard.press("n")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_an_administrator_is_offered_those_keys(page):
    hints = page.get_by_role("contentinfo", name="Keys")
    for name, labels in KEYS.items():
        turn_to(page, name)
        for label in labels:
            expect(hints.get_by_text(label)).to_have_count(1)


FORCED = """async (methods) => {
  const place = new URL('ws', location.href).href.replace('http', 'ws');
  const socket = new WebSocket(place, ['sipx.v1']);
  await new Promise((resolve) => { socket.onopen = resolve; });
  const codes = {};
  const all = new Promise((resolve) => {
    socket.onmessage = ({data}) => {
      const {id, error} = JSON.parse(data);
      if (id === undefined) return;
      codes[id] = error?.code ?? 'done';
      if (Object.keys(codes).length === methods.length) resolve();
    };
  });
  for (const id of methods) socket.send(JSON.stringify({id, method: id, params: {}}));
  await all;
  socket.close();
  return codes;
}"""
RANKS = ("viewer", "operator", "admin")


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_a_forced_call_is_refused(sipx, new_page, role):
    page = entered(sipx, new_page, role)
    methods = page.evaluate(
        "async () => (await (await fetch('api/control.methods')).json()).methods"
    )
    above = [one["name"] for one in methods if RANKS.index(one["role"]) > RANKS.index(role)]
    assert {"config.change", "process.stop"} <= set(above)
    codes = page.evaluate(FORCED, above)
    assert {name: code for name, code in codes.items() if code != "forbidden"} == {}
    for name in above[:: len(above) // 5]:
        assert answer(page, name) == 403


def test_a_viewer_reloads_nothing_and_an_operator_does(sipx, new_page):
    viewer, operator = (entered(sipx, new_page, role) for role in ("viewer", "operator"))
    assert answer(viewer, "config.show") == 200
    assert answer(viewer, "reload") == 403
    assert answer(operator, "reload") == 200


def test_a_viewer_reads_no_bodies(sipx, new_page, people):
    people.call()
    texts = {}
    for role in ("viewer", "admin"):
        page = entered(sipx, new_page, role)
        turn_to(page, "live")
        page.get_by_role("grid").get_by_role("row").filter(has_text="INVITE").first.click()
        text = page.get_by_role("region", name="Message text")
        expect(text).to_contain_text("INVITE sip:bob@example.com")
        texts[role] = text.inner_text()
    assert "v=0" not in texts["viewer"]
    assert "m=audio" in texts["admin"].replace("\n", "")


def test_a_page_of_another_site_may_not_use_the_session(sipx, new_page):
    page = entered(sipx, new_page, "admin")
    address = page.url.partition("#")[0]
    for headers in ({"Origin": "https://elsewhere.example"}, {"Host": "elsewhere.example"}):
        refused = page.request.post(f"{address}api/config.show", data={}, headers=headers)
        assert refused.status == 403, headers

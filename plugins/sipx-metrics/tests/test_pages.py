"""Which page answers which request."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from sipx_metrics.pages import Pages

READY = SimpleNamespace(
    service=SimpleNamespace(state="running"),
    interfaces=[SimpleNamespace(name="lan", state="listening", reason="")],
    certificates=(),
)
NOT_READY = SimpleNamespace(
    service=SimpleNamespace(state="stopped"), interfaces=READY.interfaces, certificates=()
)


class Text:
    def text(self, accept):
        return b"sipx_healthy 1.0\n", f"for {accept}"


def ask(target, method=b"GET", status=READY, accept="*/*"):
    return Pages(Text(), lambda: status).answer(method, target, accept)


def test_metrics_are_given_in_the_format_that_is_accepted():
    page = ask(b"/metrics", accept="application/openmetrics-text")
    assert page == (200, "for application/openmetrics-text", b"sipx_healthy 1.0\n", ())


def test_the_index_leads_to_the_other_pages():
    page = ask(b"/")
    assert page.status == 200
    assert page.content_type.startswith("text/html")
    for path in (b"/metrics", b"/livez", b"/readyz"):
        assert b'href="%b' % path in page.body


@pytest.mark.parametrize("query", [b"", b"?verbose", b"?verbose=1", b"?a=b"])
def test_health_is_200_and_ok(query):
    for path in (b"/livez", b"/readyz"):
        page = ask(path + query)
        assert (page.status, page.content_type) == (200, "text/plain; charset=utf-8")
        assert page.body.endswith(b"ok\n")
        assert (b"[+]" in page.body) == query.startswith(b"?verbose")


def test_a_stopped_proxy_lives_and_is_not_ready():
    assert ask(b"/livez", status=NOT_READY).status == 200
    page = ask(b"/readyz", status=NOT_READY)
    assert (page.status, page.body) == (503, b"[-] proxy: it is stopped\nnot ready\n")


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"DELETE", b"OPTIONS", b"TRACE", b"CONNECT"])
def test_other_methods_are_refused_with_those_that_are_allowed(method):
    page = ask(b"/metrics", method)
    assert (page.status, page.headers) == (405, (("Allow", "GET, HEAD"),))


def test_a_head_is_answered_like_a_get():
    assert ask(b"/metrics", b"HEAD") == ask(b"/metrics")


@pytest.mark.parametrize("target", [b"/metric", b"/metrics/", b"/..//metrics", b"*", b"//metrics"])
def test_there_are_no_other_pages(target):
    assert ask(target).status == 404


@pytest.mark.parametrize(
    "target", [b"/\xff", b"http://[::1/metrics", b"/livez?" + b"&".join([b"a=b"] * 20)]
)
def test_what_is_no_path_is_a_bad_request(target):
    assert ask(target).status == 400


def test_an_absolute_target_is_read_as_its_path():
    assert ask(b"http://127.0.0.1:9471/metrics").status == 200

"""What the answer to a probing request is told to mean."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from sipx.answers import good_answer, header_of, list_of, told_answer
from sipx.testing import a_request

NOW = 1_800_000_000.0


@pytest.fixture
def request_():
    return a_request("OPTIONS", "sip:b.example")


def told(response):
    return list(told_answer(response, NOW))


@pytest.mark.parametrize(
    ("status", "good", "said"),
    [
        (200, True, "it answers: the way works"),
        (202, True, "it answers: the way works"),
        (301, False, "sends us elsewhere"),
        (403, False, "does not want this"),
        (404, True, "knows nobody of that name; the way works"),
        (405, True, "does not serve OPTIONS; the way works"),
        (407, False, "wants a user name and a password"),
        (482, False, "in a circle"),
        (499, False, "refuses"),
        (504, False, "our own SRV record"),
        (599, False, "failed"),
        (603, False, "nobody wants it"),
    ],
)
def test_each_status_has_a_sentence(request_, status, good, said):
    response = request_.reply(status)
    assert good_answer(status) is good
    assert said in told(response)[0]


def test_its_own_words_are_told(request_):
    response = request_.reply(
        503,
        headers=(
            (b"Warning", b'399 sipx "no route \\"b\\" [row 8]"'),
            (b"ms-diagnostics", b'1008;reason="Unable to resolve DNS SRV record"'),
            (b"ms-diagnostics", b'77;reason="else"'),
            (b"Retry-After", b"5"),
        ),
    )
    said = told(response)
    assert 'its Warning says: no route \\"b\\" [row 8]' in said
    assert any("1008" in text and "cannot find our domain" in text for text in said)
    assert 'its ms-diagnostics says: 77;reason="else"' in said
    assert "it asks to be left alone for 5 s" in said


@pytest.mark.parametrize(
    ("offset", "said"), [(30, None), (600, "600 s ahead of"), (-90, "90 s behind")]
)
def test_a_clock_that_is_off_is_told(request_, offset, said):
    date = formatdate(NOW + offset, usegmt=True).encode()
    found = told(request_.reply(200, headers=((b"Date", date),)))
    assert any(said in text for text in found) if said else len(found) == 1


def test_what_cannot_be_read_is_left_out_or_shown_as_it_is(request_):
    response = request_.reply(
        200,
        headers=(
            (b"Date", b"yesterday"),
            (b"Warning", b"none"),
            (b"Allow", b'INVITE, "'),
            (b"Supported", b"path, outbound"),
            (b"Server", b"a\x1b[31m"),
        ),
    )
    assert len(told(response)) == 1
    assert list_of(response, b"Allow") == ('INVITE, "',)
    assert list_of(response, b"Supported") == ("path", "outbound")
    assert header_of(response, b"Server") == "a\\x1b[31m"
    assert header_of(response, b"User-Agent") == ""

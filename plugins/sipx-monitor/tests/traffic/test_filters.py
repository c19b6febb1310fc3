"""The filter language: what it means, what is wrong where, and that nothing makes it slow."""

from __future__ import annotations

import contextlib
import random
import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sipx_monitor.traffic.filters import FilterError, compile_filter
from sipx_monitor.traffic.filters.fields import BY_NAME, FIELDS, OTHER_NAMES
from sipx_monitor.traffic.filters.parsing import All, AnyOf, Not, Term, parse
from sipx_monitor.traffic.filters.regex import Effort, compile_regex
from sipx_monitor.traffic.filters.suggesting import suggest

from sipx import ControlError

DOCUMENT = Path(__file__).parents[4] / "docs" / "monitor.md"


@pytest.fixture
def found(recorder, lines):
    """The numbers of the messages of a call, and of some others, that a filter wants."""
    call = recorder.call()  # 1 to 9
    recorder.add(  # 10
        lines.request(
            "MESSAGE",
            call="chat@x",
            branch="m1",
            headers=("P-Asserted-Identity: <sip:alice@home.example>", "s: hello there"),
        ),
        body=b"meet me (at noon)",
        remote="[2001:db8::7]:5070",
    )
    refused = recorder.add(  # 11
        lines.response(404, "Not Found", "MESSAGE", call="chat@x", branch="m1"), inwards=False,
        remote="[2001:db8::7]:5070",
    )  # fmt: skip
    refused.marked, refused.note = "red", "ticket 7"
    recorder.add(("NONSENSE", ["To: nobody"]), remote="192.0.2.99:4242")  # 12
    call[0].transaction.trusted = True
    call[0].transaction.targets = ("far.example",)

    def found(text, **more):
        wanted = compile_filter(text, now=lambda: 1_800_000_000.5, **more)
        return [message.seq for message in recorder.store.between(1, 99) if wanted(message)]

    return found


ALL = list(range(1, 13))


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("", ALL),
        ("   ", ALL),
        ("method:INVITE", [1, 2, 3, 4, 5, 6, 7]),
        ("method:invite kind:request", [1, 3]),
        ("method:INV*", [1, 2, 3, 4, 5, 6, 7]),
        ("method:MESSAGE,ACK", [8, 9, 10, 11]),
        ("~m MESSAGE", [10, 11]),
        ("~m:MESSAGE ~q", [10]),
        ("~m MESSAGE ~s", [11]),
        ("code:4xx", [11]),
        ("status:404,486", [11]),
        ("code:180-200 dir:in", [4, 6]),
        ("code>=200", [6, 7, 11]),
        ("code<200", [2, 4, 5]),
        ("code!=200 kind:response", [2, 4, 5, 11]),
        ("~c 2xx", [6, 7]),
        ("~e", [11, 12]),
        ("from:alice method:ACK", [8, 9]),
        ("to:bob@far.example method:ACK", [8, 9]),
        ("to:bob@*.example method:ACK", [8, 9]),
        ("from=sip:alice@home.example method:MESSAGE", [10, 11]),
        ("uri:bob kind:request !method:INVITE", [8, 9, 10]),
        ("domain:far.example kind:request method:ACK", [8, 9]),
        ("domain:*.example method:MESSAGE", [10, 11]),
        ("~d home.example ~m MESSAGE", [10, 11]),
        ("callid:chat@", [10, 11]),
        ("branch:z9hG4bKm1", [10, 11]),
        ('cseq:"1 MESSAGE"', [10, 11]),
        ("cseq:1 method:ACK", [8, 9]),
        ("tag:t1 method:ACK", [8, 9]),
        ("src:198.51.100.9", [4, 6]),
        ("~src 198.51.100.0/24", [4, 6]),
        ("dst:198.51.100.9:5061", [3, 9]),
        ("dst:198.51.100.9:5062", []),
        ("ip:2001:db8::/32", [10, 11]),
        ("ip:[2001:db8::7]:5070", [10, 11]),
        ("src:192.0.2.*", [1, 8, 12]),
        ("port:4242", [12]),
        ("port:5070-5080,4242", [10, 11, 12]),
        ("iface:federation", [3, 4, 6, 9]),
        ("proto:tls", [3, 4, 6, 9]),
        ("protocol:udp,tls dir:out", [2, 3, 5, 7, 9, 11]),
        ("leg:1", [3, 4, 6, 9]),
        ("partner:far.example", [3, 4, 6, 9]),
        ("route:far.example", [1, 2, 3, 4, 5, 6, 7, 9]),
        ("trusted:yes", [1, 2, 3, 4, 5, 6, 7]),
        ("trusted:no", []),
        ("tls:yes", [3, 4, 6, 9]),
        ("sdp:yes", [1, 3, 6, 7]),
        ("body:noon", [10]),
        ('body:"(at noon)"', [10]),
        ("~b /me+t/", [10]),
        ("header.P-Asserted-Identity:/alice/", [10]),
        ("header.subject:hello", [10]),
        ("header.s:hello", [10]),
        ("header.Record-Route:*", [3]),
        ("header.i=chat@x", [10, 11]),
        ("~h /^p-asserted/", [10]),
        ("size>400 method:ACK", []),
        ("size<0.5kB method:ACK", [8, 9]),
        ("rtt>50ms", [7]),
        ("rtt<0.05s", [6, 11]),
        ("retrans:yes", []),
        ("malformed:yes", [12]),
        ("marked:yes", [11]),
        ("~marked", [11]),
        ("marked:red note:ticket", [11]),
        ("marked:blue", []),
        ("seq>=11", [11, 12]),
        ("since:450ms", [5, 6, 7, 8, 9, 10, 11, 12]),
        ("nobody", [12]),
        ("sip:alice@home.example method:MESSAGE", [10, 11]),
        ("federation dir:in", [4, 6]),
        ('"CSeq: 1 ACK"', [8, 9]),
        ("/cseq: 1 (ACK|MESSAGE)/", [8, 9, 10, 11]),
        ("method:ACK or method:MESSAGE and code:404", [8, 9, 11]),
        ("(method:ACK or method:MESSAGE) and dir:out", [9, 11]),
        ("(method:ACK | method:MESSAGE) & dir:out", [9, 11]),
        ("-method:INVITE -malformed:yes", [8, 9, 10, 11]),
        ("not (method:INVITE or method:ACK)", [10, 11, 12]),
        ("!!code:404", [11]),
        ("not not code:404", [11]),
    ],
)
def test_a_filter_finds(found, text, numbers):
    assert found(text) == numbers


def test_a_partner_who_was_discovered_is_found_by_the_domain(recorder):
    call = recorder.call()
    call[0].transaction.targets = ("far.example (discovered)",)
    for message in call:
        if message.peer == "far.example":
            message.peer = "far.example (discovered)"
    for text, numbers in (
        ("partner:far.example", [3, 4, 6, 9]),
        ("partner:*.example", [3, 4, 6, 9]),
        ('partner:"far.example (discovered)"', [3, 4, 6, 9]),
        ("partner:example", []),
        ("route:far.example", [1, 2, 3, 4, 5, 6, 7, 9]),
        ("partner!=far.example", [1, 2, 5, 7, 8]),
    ):
        wanted = compile_filter(text)
        found = [one.seq for one in recorder.store.between(1, 99) if wanted(one)]
        assert found == numbers, text


@pytest.mark.parametrize(
    ("text", "position", "said"),
    [
        ("method:", 7, "a value is missing behind 'method:'"),
        ("methd:INVITE", 0, "there is no field 'methd'; did you mean 'method'?"),
        ("code:4xx and ip:", 16, "a value is missing behind 'ip:'"),
        ("(code:4xx", 0, "this bracket is not closed; add ')'"),
        ("code:4xx)", 8, "no bracket is open here; take ')' away"),
        ("or code:4xx", 0, "something is missing before 'or'"),
        ("code:4xx or", 11, "something is missing at the end"),
        ("code:abc", 5, "'abc' is no status; write 404, 4xx, 400-499 or 404,486"),
        ("rtt>5apples", 4, "'5apples' is no duration; write 500ms, 2s or 1m"),
        ("size>big", 5, "'big' is no size; write 1200 or 2kB"),
        ("sdp:maybe", 4, "'maybe' is neither yes nor no"),
        ("from>alice", 0, "'from' has no order; write from:alice in place of '>'"),
        ("ip:10.0.0.0/99", 3, "'10.0.0.0/99' is no network"),
        ("since:soon", 6, "'soon' is no time; write 5m, 14:30 or 2026-01-31T14:30"),
        ('from:"alice', 5, "the quotation mark is not closed"),
        ("from:/ali", 5, "the regular expression is not closed with '/'"),
        ("from:/a(b/", 7, "this bracket is not closed"),
        ("from:/*a/", 6, "there is nothing to repeat"),
        (r"from:/(a)\1/", 10, r"'\1' is not known here"),
        ("from:/(?=a)/", 7, "look-around and the like are not known here"),
        ("~x", 0, "'~x' is not known; there are ~m ~c"),
        ("header.:x", 0, "the name of a header is missing behind 'header.'"),
        ("!", 0, "nothing stands behind '!'"),
        ("code:4xx !", 9, "nothing stands behind '!'"),
        ("(" * 60, 50, "brackets stand at most 50 deep"),
        ("a " * 201, 400, "a filter has at most 200 terms"),
    ],
)
def test_a_wrong_filter_says_what_and_where(text, position, said):
    with pytest.raises(FilterError) as caught:
        compile_filter(text)
    assert said in caught.value.text
    assert caught.value.position == position


def test_viewers_cannot_find_out_what_a_body_says(found):
    with pytest.raises(FilterError, match="bodies are not shown to viewers"):
        compile_filter("body:noon", bodies=False)
    assert found("noon") == [10]
    assert found("noon", bodies=False) == []


def test_a_word_and_a_field_are_told_apart():
    assert parse("sip:bob@example.com") == Term("", "", parse("sip:bob@example.com").value, 0)
    for text in ("fe80::1", "host.example:5060", "10.0.0.1:5060", "[::1]:5060", "bob@x:5060"):
        assert parse(text).field == ""
    assert isinstance(parse("a b"), All)
    assert isinstance(parse("a or b"), AnyOf)
    assert isinstance(parse("-a"), Not)
    assert parse("android").value.text == "android"
    assert parse("re-INVITE").value.text == "re-INVITE"


# ---------------------------------------------------------------- properties

word = st.from_regex(r"[a-z0-9.@]{1,10}", fullmatch=True).filter(
    lambda text: text not in ("and", "or", "not")
)
quoted = st.text(st.characters(codec="utf-8"), max_size=12).map(
    lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
)
term = st.one_of(
    word,
    quoted,
    st.tuples(st.sampled_from(("from", "to", "header.Subject", "callid")), st.one_of(word, quoted))
    .map(":".join),
    st.tuples(st.sampled_from(("code", "size", "leg")), st.sampled_from((":", ">", "<=", "!=")),
              st.integers(0, 999).map(str)).map("".join),
)  # fmt: skip
filters = st.recursive(
    term,
    lambda inner: st.one_of(
        inner.map("not {}".format),
        inner.map("!({})".format),
        st.tuples(inner, st.sampled_from((" ", " and ", " or ", " | ")), inner).map(
            lambda parts: f"({parts[0]}{parts[1]}{parts[2]})"
        ),
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(filters)
def test_whatever_the_grammar_allows_is_understood(make_recorder, lines, text):
    wanted = compile_filter(text)
    message = make_recorder().add(lines.request())
    assert wanted(message) in (True, False)
    assert compile_filter(f"not ({text})")(message) is not wanted(message)
    assert compile_filter(f"({text}) or ({text})")(message) is wanted(message)
    assert compile_filter(f"({text}) ({text})")(message) is wanted(message)


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_a_filter_or_an_error_with_a_place(text):
    try:
        compile_filter(text)
    except FilterError as error:
        place = error.position
    else:
        place = 0
    assert 0 <= place <= len(text)


pieces = st.recursive(
    st.sampled_from(("a", "b", "A", "1", ".", "[ab]", "[^a]", "[a-c1]", r"\d", r"\w", r"\.", "-")),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map("({0[0]}|{0[1]})".format),
        st.tuples(inner, st.sampled_from(("*", "+", "?", "{2}", "{1,3}", "{0,2}", "{1,}"))).map(
            "(?:{0[0]}){0[1]}".format
        ),
        inner.map("^{}".format),
        inner.map("(?:{})$".format),
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(pieces, st.text("abcA1.-\n ", max_size=12))
@example("(?:(?:a)*)$^(?:(?:a)*)$", "")
@example("$^", "a\n\nb")
@example("$^", "a\nb")
@example("^$", "a\n")
def test_regular_expressions_mean_what_they_mean_in_python(pattern, text):
    with contextlib.suppress(FilterError):  # too large
        expected = re.search(pattern, text, re.IGNORECASE | re.MULTILINE) is not None
        assert compile_regex(pattern, 0, Effort())(text) == expected


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|a)*b", "(.*)*x", "a*a*a*a*a*a*b", "(a?){20}a{20}x"]
)
def test_no_regular_expression_is_slow(pattern):
    """Python's own would not come back from these. Each character leads to a state that is known:
    their number is what bounds the time."""
    search = compile_regex(pattern, 0, Effort())
    assert search("a" * 50_000) in (True, False)
    known = search.__self__._known
    assert len(known) <= 101
    assert all(len(one.next) <= 3 for one in known.values())


NEEDS_MANY_STATES = "(a|b)*a(a|b){40}c"
AT_RANDOM = "".join(random.Random(1).choices("ab", k=3000))


def test_one_that_would_need_too_many_states_is_given_up():
    effort = Effort()
    search = compile_regex(NEEDS_MANY_STATES, 7, effort)
    with pytest.raises(FilterError, match="takes too long; write a simpler one"):
        search(AT_RANDOM)
    effort.work = 0
    assert search("abc") is False


MANY = " or ".join(f"/x.{{5}}.{{5}}[{chr(97 + i)}z]q/" for i in range(16))


def test_all_that_a_filter_does_with_a_message_is_bounded(recorder, lines):
    """A hundred patterns, each of them quick enough, would keep SIP waiting."""
    at_random = random.Random(1)
    message, long = (
        recorder.add(lines.request(headers=("Subject: " + "".join(at_random.choices("xab", k=k)),)))
        for k in (100, 5000)
    )
    wanted = compile_filter(MANY)
    for _ in range(3):
        assert wanted(message) is False  # each has its own time
    with pytest.raises(FilterError, match="takes too long"):
        wanted(long)
    with pytest.raises(FilterError, match="too large together"):
        compile_filter(" or ".join(f"/x.{{49}}.{{49}}.{{{i}}}y/" for i in range(20, 30)))


def test_what_is_remembered_of_characters_is_bounded():
    effort = Effort()
    search = compile_regex("q.*y", 0, effort)
    for begin in range(0x4E00, 0xAC00, 1000):
        effort.work = 0
        search("q" + "".join(map(chr, range(begin, begin + 1000))))
    known = search.__self__._known
    assert sum(len(one.next) for one in known.values()) <= 10_000


async def test_a_filter_that_takes_too_long_is_a_wrong_parameter(ask, lines):
    ask.recorder.add(lines.request(headers=(f"Subject: {AT_RANDOM}",)))
    for name, params in (
        ("messages", {}),
        ("messages", {"after": 0}),
        ("dialogs", {}),
        ("export", {"format": "text"}),
        ("export", {"format": "text", "call_id": "call-1"}),
    ):
        with pytest.raises(ControlError, match="filter: this regular expression takes too long"):
            await ask(name, filter=f"/{NEEDS_MANY_STATES}/", **params)


# ---------------------------------------------------------------- typing one


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("", ("method:", 0, 0)),
        ("me", ("method:", 0, 2)),
        ("code:4xx -do", ("domain:", 10, 12)),
        ("method:in", ("INVITE", 7, 9)),
        ("method:INVITE,by", ("BYE", 14, 16)),
        ("iface:", ("lan", 6, 6)),
        ("(hea", ("header.", 1, 4)),
    ],
)
def test_suggestions_fit_what_is_typed(text, first):
    found = suggest(text, len(text), {"iface": ("lan", "federation")})
    assert (found[0].text, found[0].start, found[0].end) == first


async def test_monitor_filter_says_what_is_wrong_and_what_was_meant(ask):
    ask.recorder.call()
    right = await ask("filter", filter="method:INVITE iface:fe")
    assert (right.valid, right.position) == (True, None)
    assert [one.text for one in right.suggestions] == ["federation"]
    assert [field.name for field in right.fields] == [field.name for field in FIELDS]
    wrong = await ask("filter", filter="code:200 methd:INVITE")
    assert (wrong.valid, wrong.position) == (False, 9)
    meant = wrong.suggestions[0]
    assert (meant.text, meant.start, meant.end) == ("method", 9, 14)


# ---------------------------------------------------------------- the document


def test_every_example_is_a_filter():
    for field in FIELDS:
        compile_filter(field.example)
    assert set(OTHER_NAMES.values()) <= set(BY_NAME)


def test_the_document_shows_the_fields_as_they_are():
    """docs/monitor.md holds a row for each field, in this order."""
    rows = re.findall(
        r"^\| `([a-zA-Z.]+)` \| (.+?) \| `(.+?)` \|$", DOCUMENT.read_text(), re.MULTILINE
    )
    assert rows == [(field.name, field.help, field.example) for field in FIELDS]

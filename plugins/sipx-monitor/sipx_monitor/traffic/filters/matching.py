"""A filter as a function of a message."""

from __future__ import annotations

import difflib
import time
from typing import TYPE_CHECKING, Final

from sipx_monitor.traffic.filters import values
from sipx_monitor.traffic.filters.errors import FilterError
from sipx_monitor.traffic.filters.fields import BY_NAME, COMPACT, FIELDS, OTHER_NAMES
from sipx_monitor.traffic.filters.parsing import All, AnyOf, Not, Term, parse
from sipx_monitor.traffic.filters.regex import Effort

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sipx_monitor.traffic.filters.fields import Field
    from sipx_monitor.traffic.filters.lexing import Value
    from sipx_monitor.traffic.filters.parsing import Node
    from sipx_monitor.traffic.message import Message

    Wanted = Callable[[Message], bool]
    Test = Callable[[str], bool]

_DISCOVERED: Final = " (discovered)"
"""What stands behind the domain in the name of a partner whom nobody has written down."""


def compile_filter(
    text: str, *, bodies: bool = True, now: Callable[[], float] = time.time
) -> Wanted:
    """What tells whether a message is wanted. Without ``bodies`` none is looked into: who may not
    see them must not find out by asking. Raises FilterError.
    """
    node = parse(text)
    if node is None:
        return lambda _: True
    effort = Effort()
    wanted = _Compiler(effort, bodies=bodies, now=now).compile(node)
    if not effort.states:
        return wanted

    def bounded(message: Message) -> bool:
        effort.work = 0
        return wanted(message)

    return bounded


class _Compiler:
    def __init__(self, effort: Effort, *, bodies: bool, now: Callable[[], float]) -> None:
        self._effort = effort
        self._bodies = bodies
        self._now = now

    def compile(self, node: Node) -> Wanted:
        if isinstance(node, Term):
            return self._term(node)
        if isinstance(node, Not):
            inner = self.compile(node.item)
            return lambda message: not inner(message)
        tests = tuple(self.compile(item) for item in node.items)
        if isinstance(node, All):
            return lambda message: all(test(message) for test in tests)
        assert isinstance(node, AnyOf)
        return lambda message: any(test(message) for test in tests)

    def _term(self, term: Term) -> Wanted:
        if term.value is None:
            return _FLAGS[term.field]
        if not term.field:
            return self._anywhere(term.value)
        if term.operator == "!=":
            same = self._field(term, "=")
            return lambda message: not same(message)
        return self._field(term, term.operator)

    def _anywhere(self, value: Value) -> Wanted:
        test = values.contains(value, self._effort)
        bodies = self._bodies

        def wanted(message: Message) -> bool:
            way = message.way
            return (
                test(message.head.decode("utf-8", "backslashreplace"))
                or test(f"{message.source} {message.target} {way.interface} {message.peer}")
                or (bool(message.note) and test(message.note))
                or (bodies and bool(message.body) and test(_body(message)))
            )

        return wanted

    def _field(self, term: Term, operator: str) -> Wanted:
        value = term.value
        assert value is not None
        name, dot, header = term.field.partition(".")
        if name == "header":
            if dot and not header:
                raise FilterError(term.position, "the name of a header is missing behind 'header.'")
            return self._header(header.lower(), value, operator, term)
        if dot:
            raise unknown_field(term.field, term.position)
        field = BY_NAME.get(OTHER_NAMES.get(name, name))
        if field is None or field.name == "header.NAME":
            raise unknown_field(term.field, term.position)
        comparing = operator in (">", ">=", "<", "<=")
        if comparing and field.kind not in ("status", "number", "duration", "size"):
            raise FilterError(
                term.position,
                f"'{name}' has no order; write {name}:{value.text} in place of '{operator}'",
            )
        return self._of_kind(field, value, operator)

    def _of_kind(self, field: Field, value: Value, operator: str) -> Wanted:
        kind = field.kind
        if kind in ("status", "number", "duration", "size"):
            unit = kind if kind in ("duration", "size") else ""
            counts = values.numbers(value, operator, unit=unit, status=kind == "status")
            return _number(field.name, counts)
        if kind == "flag":
            return _flag(field.name, values.truth(value))
        if kind == "mark":
            return _mark(value, self._effort)
        if kind == "since":
            begin = values.since(value, self._now)
            return lambda message: message.wall >= begin()
        if kind == "address":
            return _address(field.name, values.addresses(value, self._effort))
        if field.name == "body" and not self._bodies:
            raise FilterError(value.position, "bodies are not shown to viewers")
        exactly = kind == "word" or operator == "="
        read = values.is_exactly if exactly else values.contains
        test = read(value, self._effort)
        return _text(field.name, test)

    def _header(self, name: str, value: Value, operator: str, term: Term) -> Wanted:
        if operator not in (":", "="):
            raise FilterError(
                term.position, f"a header has no order; write ':' in place of '{operator}'"
            )
        read = values.is_exactly if operator == "=" else values.contains
        test = read(value, self._effort)
        wanted = COMPACT.get(name, name)

        def found(message: Message) -> bool:
            for line in message.lines():
                spelled, _, content = line.partition(b":")
                if wanted:
                    here = spelled.strip().lower().decode("ascii", "replace")
                    if here != wanted and COMPACT.get(here) != wanted:
                        continue
                    text = content.strip()
                else:
                    text = line
                if test(text.decode("utf-8", "backslashreplace")):
                    return True
            return False

        return found


def unknown_field(name: str, position: int) -> FilterError:
    """The error for a field that there is not, with what may have been meant."""
    known = [field.name for field in FIELDS] + list(OTHER_NAMES)
    near = difflib.get_close_matches(name, known, 1)
    meant = OTHER_NAMES.get(near[0], near[0]) if near else ""
    hint = f"did you mean '{meant}'?" if meant else "a text with a colon stands in quotation marks"
    return FilterError(position, f"there is no field '{name}'; {hint}", meant)


def _body(message: Message) -> str:
    return message.body.decode("utf-8", "backslashreplace")


def _number(name: str, test: Callable[[float], bool]) -> Wanted:
    if name in ("code", "status"):
        return lambda message: bool(message.status) and test(message.status)
    if name == "rtt":
        return lambda message: message.rtt is not None and test(message.rtt)
    if name == "size":
        return lambda message: test(message.size)
    if name == "leg":
        return lambda message: test(message.leg)
    if name == "seq":
        return lambda message: test(message.seq)
    assert name == "port"
    return lambda message: any(
        port.isdigit() and test(int(port))
        for _, port in map(values.host_and_port, (message.way.local, message.way.remote))
    )


def _flag(name: str, wanted: bool) -> Wanted:  # what the flag has to be
    if name == "trusted":
        return lambda message: message.trusted is wanted
    if name == "tls":
        return lambda message: message.way.tls is wanted
    if name == "sdp":
        return lambda message: message.sdp is wanted
    if name == "retrans":
        return lambda message: message.retransmission is wanted
    assert name == "malformed"
    return lambda message: bool(message.fault) is wanted


def _mark(value: Value, effort: Effort) -> Wanted:
    text = value.text.lower()
    if text in ("yes", "true", "1", "*"):
        return _is_marked
    if text in ("no", "false", "0"):
        return lambda message: not message.marked
    test = values.is_exactly(value, effort)
    return lambda message: bool(message.marked) and test(message.marked)


def _is_marked(message: Message) -> bool:
    return bool(message.marked)


def _address(name: str, test: Test) -> Wanted:
    if name == "src":
        return lambda message: test(message.source)
    if name == "dst":
        return lambda message: test(message.target)
    return lambda message: test(message.way.local) or test(message.way.remote)


def _text(name: str, test: Test) -> Wanted:
    texts = _TEXTS[name]
    return lambda message: any(map(test, texts(message)))


def _partners(message: Message) -> Iterable[str]:
    """The name of the peer."""
    yield from _spelt(message.peer)


def _routes(message: Message) -> Iterable[str]:
    """The names of the targets in the decision trace, and of the peer."""
    yield from _partners(message)
    if message.transaction is not None:
        for name in message.transaction.targets:
            yield from _spelt(name)


def _spelt(name: str) -> Iterable[str]:
    """A name, and where it says "(discovered)" behind the domain, the domain."""
    yield name
    if name.endswith(_DISCOVERED):
        yield name.removesuffix(_DISCOVERED)


_TEXTS: dict[str, Callable[[Message], Iterable[str]]] = {
    "method": lambda message: (message.method,),
    "kind": lambda message: ("response" if message.status else "request",),
    "uri": lambda message: (message.uri,),
    "from": lambda message: (message.from_uri,),
    "to": lambda message: (message.to_uri,),
    "domain": lambda message: message.domains,
    "callid": lambda message: (message.call_id,),
    "branch": lambda message: (message.branch,),
    "cseq": lambda message: (message.cseq, message.cseq.partition(" ")[0]),
    "tag": lambda message: (message.from_tag, message.to_tag),
    "iface": lambda message: (message.way.interface,),
    "proto": lambda message: (message.way.transport,),
    "dir": lambda message: ("in" if message.inwards else "out",),
    "partner": _partners,
    "route": _routes,
    "body": lambda message: (_body(message),) if message.body else (),
    "note": lambda message: (message.note,),
}
_FLAGS: dict[str, Wanted] = {
    "~marked": _is_marked,
    "~e": lambda message: bool(message.fault) or message.status >= 400,
    "~q": lambda message: not message.status,
    "~s": lambda message: bool(message.status),
}

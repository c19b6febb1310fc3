"""What a value of a filter means: text with wildcards, numbers, durations, addresses, times."""

from __future__ import annotations

import datetime
import ipaddress
import re
from typing import TYPE_CHECKING, Final

from sipx_monitor.traffic.filters.errors import FilterError
from sipx_monitor.traffic.filters.regex import Effort, compile_regex

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipx_monitor.traffic.filters.lexing import Value

    Test = Callable[[str], bool]

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|min|m|h|d)?", re.IGNORECASE)
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)(b|kb|kib|mb|mib)?", re.IGNORECASE)
_STATUS_CLASS: Final = re.compile(r"([1-6])xx", re.IGNORECASE)
_UNITS: Final = {
    "us": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86400.0,
}
_BYTES: Final = {"b": 1, "kb": 1000, "kib": 1024, "mb": 1000**2, "mib": 1024**2}
_YES: Final = ("yes", "true", "1", "on", "*")
_NO: Final = ("no", "false", "0", "off")


def contains(value: Value, effort: Effort) -> Test:
    """Text that is somewhere in a value; ``*`` stands for anything between."""
    if value.regex:
        return compile_regex(value.text, value.position, effort)
    wanted = value.text.lower()
    if value.quoted or "*" not in wanted:
        return lambda text: wanted in text.lower()
    parts = [part for part in wanted.split("*") if part]

    def in_order(text: str) -> bool:
        lowered, at = text.lower(), 0
        for part in parts:
            at = lowered.find(part, at)
            if at < 0:
                return False
            at += len(part)
        return bool(text)

    return in_order


def is_exactly(value: Value, effort: Effort) -> Test:
    """The whole of a value; ``*`` stands for anything, and a comma between several."""
    if value.regex:
        return compile_regex(value.text, value.position, effort)
    if value.quoted:
        wanted = value.text.lower()
        return lambda text: text.lower() == wanted
    tests = [_glob(one) for one in value.text.lower().split(",")]
    if len(tests) == 1:
        return tests[0]
    return lambda text: any(test(text) for test in tests)


def _glob(wanted: str) -> Test:
    """Linear in the text for any number of wildcards: each part is taken where it comes first."""
    if "*" not in wanted:
        return lambda text: text.lower() == wanted
    first, *middle, last = wanted.split("*")

    def matches(text: str) -> bool:
        text = text.lower()
        if not text or len(text) < len(first) + len(last):
            return False
        if not (text.startswith(first) and text.endswith(last)):
            return False
        at, end = len(first), len(text) - len(last)
        for part in middle:
            at = text.find(part, at, end)
            if at < 0:
                return False
            at += len(part)
        return True

    return matches


def number(value: Value, *, unit: str = "") -> Callable[[str], float]:
    """What reads one number of a value; ``unit`` is "duration", "size" or ""."""

    def read(text: str) -> float:
        if unit == "duration":
            found = _DURATION.fullmatch(text)
            if found is not None:
                return float(found[1]) * _UNITS[(found[2] or "s").lower()]
            raise FilterError(value.position, f"'{text}' is no duration; write 500ms, 2s or 1m")
        if unit == "size":
            found = _SIZE.fullmatch(text)
            if found is not None:
                return float(found[1]) * _BYTES[(found[2] or "b").lower()]
            raise FilterError(value.position, f"'{text}' is no size; write 1200 or 2kB")
        if text.isascii() and text.isdigit() and len(text) < 16:
            return float(text)
        raise FilterError(value.position, f"'{text}' is no number")

    return read


def numbers(
    value: Value, operator: str, *, unit: str = "", status: bool = False
) -> Callable[[float], bool]:
    """A test of a number: ``404``, ``4xx``, ``400-499``, several with commas, or a comparison."""
    if value.regex:
        raise FilterError(value.position, "a number is compared with a number, not with a pattern")
    read = number(value, unit=unit)
    if operator in (">", ">=", "<", "<="):
        limit = read(value.text)
        return {
            ">": lambda n: n > limit,
            ">=": lambda n: n >= limit,
            "<": lambda n: n < limit,
            "<=": lambda n: n <= limit,
        }[operator]
    spans: list[tuple[float, float]] = []
    for one in value.text.split(","):
        of_class = _STATUS_CLASS.fullmatch(one) if status else None
        if of_class is not None:
            begin = int(of_class[1]) * 100
            spans.append((begin, begin + 99))
        elif one == "*":
            spans.append((float("-inf"), float("inf")))
        elif "-" in one.strip("-"):
            low, _, high = one.partition("-")
            spans.append((read(low), read(high)))
        else:
            try:
                spans.append((read(one),) * 2)
            except FilterError as error:
                if not status:
                    raise
                text = f"'{one}' is no status; write 404, 4xx, 400-499 or 404,486"
                raise FilterError(error.position, text) from None
    return lambda n: any(low <= n <= high for low, high in spans)


def truth(value: Value) -> bool:
    """Yes or no."""
    text = value.text.lower()
    if text in _YES:
        return True
    if text in _NO:
        return False
    raise FilterError(value.position, f"'{value.text}' is neither yes nor no")


def addresses(value: Value, effort: Effort) -> Test:
    """A test of ``address:port``: an address, a network, an address with its port, a pattern."""
    if value.regex:
        return compile_regex(value.text, value.position, effort)
    tests = [_address(one, value.position) for one in value.text.split(",")]
    return lambda text: any(test(text) for test in tests)


def _address(wanted: str, position: int) -> Test:
    if "/" in wanted:
        try:
            network = ipaddress.ip_network(wanted, strict=False)
        except ValueError as error:
            raise FilterError(position, f"'{wanted}' is no network: {error}") from None

        def within(text: str) -> bool:
            try:
                return ipaddress.ip_address(host_and_port(text)[0]) in network
            except ValueError:
                return False

        return within
    if "*" in wanted:
        glob = _glob(wanted.lower())
        return lambda text: glob(text) or glob(host_and_port(text)[0])
    host, port = host_and_port(wanted)
    try:
        known = ipaddress.ip_address(host)
    except ValueError:
        lowered = wanted.lower()
        return lambda text: lowered in text.lower()

    def same(text: str) -> bool:
        at, its_port = host_and_port(text)
        try:
            return ipaddress.ip_address(at) == known and port in ("", its_port)
        except ValueError:
            return False

    return same


def host_and_port(text: str) -> tuple[str, str]:
    """``192.0.2.1:5060`` or ``[2001:db8::1]:5060`` in two; without a port, "" in its place."""
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        return host, rest.removeprefix(":")
    if text.count(":") == 1:
        host, _, port = text.partition(":")
        return host, port
    return text, ""


def since(value: Value, now: Callable[[], float]) -> Callable[[], float]:
    """The moment from which on: ``5m`` ago, ``14:30`` today, or a date."""
    text = value.text
    if _DURATION.fullmatch(text):
        seconds = number(value, unit="duration")(text)
        return lambda: now() - seconds
    try:
        if re.fullmatch(r"\d{1,2}:\d{2}(:\d{2})?", text):
            clock = datetime.time.fromisoformat(text.zfill(len(text) + (text.index(":") == 1)))
            today = datetime.datetime.fromtimestamp(now()).astimezone()
            moment = datetime.datetime.combine(today.date(), clock, today.tzinfo)
        else:
            moment = datetime.datetime.fromisoformat(text).astimezone()
    except ValueError:
        raise FilterError(
            value.position, f"'{text}' is no time; write 5m, 14:30 or 2026-01-31T14:30"
        ) from None
    begin = moment.timestamp()
    return lambda: begin

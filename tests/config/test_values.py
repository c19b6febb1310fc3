"""The value types that the kernel and plugins use in their tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from sipx.config import (
    ByDomain,
    DirectoryPath,
    DomainName,
    DomainPattern,
    Duration,
    FilePath,
    IPAddress,
    LocalPath,
    PeerPort,
    Port,
    Size,
)
from sipx.config.model import CertificateConfig, DnsConfig, TrustConfig
from sipx.config.values import Bind, Endpoint, NameServer, duration_text, is_duration


def read(kind: Any, value: object, base: Path | str = ".") -> Any:
    return TypeAdapter(kind).validate_python(value, context={"base": base})


def refusal(kind: Any, value: object, base: Path | str = ".") -> str:
    with pytest.raises(ValidationError) as caught:
        read(kind, value, base)
    return caught.value.errors()[0]["msg"]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(3, 3.0), (0.5, 0.5), ("30s", 30), ("15m", 900), ("1h", 3600), ("1h30m", 5400),
     ("500ms", 0.5), ("2d", 172800), ("1.5s", 1.5)],
)  # fmt: skip
def test_a_duration_is_seconds(value, seconds):
    assert read(Duration, value) == seconds


@pytest.mark.parametrize("value", ["15x", "", "s", "1 h", "-1s", -1, True, [], "1h 30m"])
def test_what_is_no_duration_is_refused(value):
    assert refusal(Duration, value).endswith("is not a duration")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1814400.0, "21d"), (3600.0, "1h"), (600.0, "10m"), (100.0, "100s"), (5400, "90m"),
     (1.5, "1500ms"), (0.0, "0s"), (0.0001, "0.0001s")],
)  # fmt: skip
def test_a_duration_is_told_as_people_write_it(seconds, text):
    assert duration_text(seconds) == text
    assert read(Duration, text) == seconds


def test_a_field_tells_whether_it_is_a_duration():
    assert is_duration(CertificateConfig.model_fields["warn_before"])
    assert is_duration(DnsConfig.model_fields["timeout"])
    assert not is_duration(TrustConfig.model_fields["min_tls"])


@pytest.mark.parametrize(
    ("value", "size"),
    [(0, 0), (1024, 1024), ("64KiB", 65536), ("20MB", 20_000_000), ("1 GiB", 2**30), ("7B", 7)],
)
def test_a_size_is_bytes(value, size):
    assert read(Size, value) == size


@pytest.mark.parametrize("value", ["20mb", "MB", "1.5MB", -1, True, 2.5, None])
def test_what_is_no_size_is_refused(value):
    assert refusal(Size, value).endswith("is not a size")


@pytest.mark.parametrize(
    ("kind", "value", "wrong"),
    [
        (Port, 65536, "65536 is more than 65535"),
        (Port, -1, "-1 is less than 0"),
        (PeerPort, 0, "0 is less than 1"),
        (Port, "5060", "'5060' is text"),
        (Port, True, "true is not a number or text but true or false"),
        (Port, 1.5, "1.5 is a number with a fraction"),
    ],
)
def test_a_port_out_of_range_is_refused(kind, value, wrong):
    assert refusal(kind, value) == wrong


def test_ports_at_the_ends_of_the_range_are_taken():
    assert (read(Port, 0), read(Port, 65535), read(PeerPort, 1)) == (0, 65535, 1)


def test_addresses_are_canonical():
    assert read(IPAddress, "2001:DB8:0::1") == "2001:db8::1"
    assert read(Bind, "*") == "*"
    assert read(NameServer, "192.0.2.53") == Endpoint("192.0.2.53", 53)
    assert read(NameServer, "192.0.2.53:5353") == Endpoint("192.0.2.53", 5353)
    assert read(NameServer, "[2001:db8::53]:5353") == Endpoint("2001:db8::53", 5353)
    assert read(NameServer, "2001:db8::53") == Endpoint("2001:db8::53", 53)


@pytest.mark.parametrize("kind", [IPAddress, Bind, NameServer])
@pytest.mark.parametrize("value", ["256.0.0.1", "host.example", "", 5, "1.2.3.4:99999"])
def test_what_is_no_address_is_refused(kind, value):
    assert " is not " in refusal(kind, value)


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("Example.COM", "example.com"),
        ("example.com.", "example.com"),
        ("straße.de", "xn--strae-oqa.de"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("192.0.2.1", "192.0.2.1"),
        ("[2001:DB8::1]", "2001:db8::1"),
    ],
)
def test_a_domain_is_canonical_as_in_sip_uris(written, canonical):
    assert read(DomainName, written) == canonical


@pytest.mark.parametrize(
    "value", ["", ".", "a..b", "-a.example", "a b", "sip:a@b.example", "x:5060", "*.x", "a_b", 5]
)
def test_what_is_no_domain_is_refused(value):
    assert refusal(DomainName, value)


def test_patterns_are_a_domain_all_below_one_or_all():
    assert read(DomainPattern, "*") == "*"
    assert read(DomainPattern, "*.Lab.example") == "*.lab.example"
    assert read(DomainPattern, "lab.example") == "lab.example"
    assert "star in the wrong place" in refusal(DomainPattern, "sip*.example")


def test_two_spellings_of_one_domain_are_refused():
    assert read(ByDomain[int], {"a.example": 1, "*.a.example": 2, "*": 3})
    assert refusal(ByDomain[int], {"a.example": 1, "A.example.": 2}) == (
        "'A.example.' and 'a.example' are the same domain"
    )


def test_paths_start_at_the_configuration_file(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("x")
    assert read(LocalPath, "sub/b", tmp_path) == tmp_path / "sub" / "b"
    assert read(LocalPath, "/etc/x", tmp_path) == Path("/etc/x")
    assert read(FilePath, "a.txt", tmp_path) == file
    assert read(DirectoryPath, ".", tmp_path) == tmp_path
    assert refusal(FilePath, "none", tmp_path) == f"{tmp_path}/none does not exist"
    assert refusal(FilePath, ".", tmp_path) == f"{tmp_path} is not a file"
    assert refusal(DirectoryPath, "a.txt", tmp_path) == f"{file} is not a directory"
    assert refusal(LocalPath, "", tmp_path) == "'' is not a path"


@pytest.mark.parametrize("key", ["extra_ca", "crl"])
def test_files_are_one_path_or_a_list(tmp_path, key):
    def paths(value):
        return getattr(TrustConfig.model_validate({key: value}, context={"base": tmp_path}), key)

    assert paths("a.crt") == paths(["a.crt"]) == (tmp_path / "a.crt",)
    assert paths([]) == ()
    with pytest.raises(ValidationError, match="5 is a whole number"):
        paths(5)

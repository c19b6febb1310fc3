"""``sipx cert request`` and ``self-signed``: what is refused, and what the printed table is."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from sipx.cli.cert_files import table
from sipx.config.model import CertificateConfig

COMMANDS = [("request",), ("self-signed",), ("ca", "issue")]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("domain", "words"),
    [
        ("10.0.0.1", "is an IP address"),
        ("[::1]", "is an IP address"),
        ("localhost", "has no dot"),
        ("ca", "has no dot"),
        ("*.a.example", "is a wildcard"),
        ("xn--0.example", "no A-label"),
    ],
)
def test_what_no_certificate_for_sip_proves_is_wrong_use(line, home, command, domain, words):
    result = line("cert", *command, domain)
    assert result.exit_code == 2
    assert words in result.stderr
    assert not (home / "tls").exists()


def test_an_international_domain_is_written_as_a_labels(line, home):
    made = line.json("cert", "self-signed", "Bücher.example")
    assert made["names"] == ["xn--bcher-kva.example"]
    assert Path(made["cert_file"]) == home / "tls/xn--bcher-kva.example.crt"


def test_the_printed_table_is_valid_whatever_it_is_called():
    name = 'München "x"\\'
    text = "\n".join(table(name, Path(f"/a/{name}.crt"), Path(f"/a/{name}.key")))
    [(key, value)] = tomllib.loads(text)["certificate"].items()
    assert key.isascii()
    assert CertificateConfig(**value).cert_file == Path(f"/a/{name}.crt")


# ---------------------------------------------------------------- the file system


def test_a_file_in_the_way_of_the_folder_is_a_sentence(line, home):
    (home / "tls").write_text("")
    result = line("cert", "request", "a.example")
    assert result.exit_code == 1
    assert "tls is a file, and a folder is wanted" in result.stderr


def test_a_folder_that_cannot_be_is_a_sentence(line, home):
    (home / "file").write_text("")
    result = line("cert", "self-signed", "a.example", "--out-dir", "file/below")
    assert result.exit_code == 1
    assert "file/below cannot be made: Not a directory" in result.stderr


@pytest.mark.parametrize("command", [*COMMANDS[:2], ("ca", "init")])
def test_a_folder_that_may_not_be_made_has_a_code_of_its_own(line, home, monkeypatch, command):
    def mkdir(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", mkdir)
    words = command if command == ("ca", "init") else (*command, "a.example")
    result = line("cert", *words)
    assert result.exit_code == 5
    assert "tls cannot be made: Permission denied" in result.stderr


def test_a_file_that_may_not_be_written_leaves_all_as_it_was(line, home, monkeypatch):
    line("cert", "request", "a.example")
    before = {path: path.read_bytes() for path in (home / "tls").iterdir()}
    replace = Path.replace

    def refuse(self, target):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "replace", refuse)
    result = line("cert", "request", "a.example", "--force")
    monkeypatch.setattr(Path, "replace", replace)
    assert result.exit_code == 5
    assert "a.example.key cannot be written: Permission denied" in result.stderr
    assert {path: path.read_bytes() for path in (home / "tls").iterdir()} == before


def test_a_directory_in_the_way_is_a_sentence(line, home):
    (home / "tls/a.example.key").mkdir(parents=True)
    result = line("cert", "request", "a.example", "--force")
    assert result.exit_code == 1
    assert "a.example.key is a directory" in result.stderr

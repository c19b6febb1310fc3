"""SEC: secrets come from the file, another file or the environment, and are never shown."""

from __future__ import annotations

import json

import pytest

from sipx.config import ConfigError, Document, Secret, check
from sipx.registry import Registry

SOURCE = """
from sipx.plugin import Config, hookimpl
from sipx.config import Secret

class LanConfig(Config):
    password: Secret | None = None
    keys: tuple[Secret, ...] = ()

class Lan:
    Config = LanConfig
    def __init__(self, config, proxy): pass
    @hookimpl
    def services(self): return ()
"""


@pytest.fixture
def lan(install, tmp_path):
    install("sipx-lan", {"lan": "fake_lan:Lan"}, fake_lan=SOURCE)

    def read(text: str, **options):
        whole = f'domains = ["example.com"]\nplugins = ["lan"]\n[lan]\n{text}\n'
        document = Document.from_text(whole, tmp_path / "sipx.toml")
        return check(document, Registry(), **options).plugins["lan"]

    return read


def refusal(lan, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        lan(text)
    return str(caught.value).partition("sipx.toml:")[2]


def test_a_secret_is_written_out_or_in_a_file_or_in_the_environment(lan, tmp_path, monkeypatch):
    (tmp_path / "lan.password").write_text(" from file \n")
    monkeypatch.setenv("UC_BERLIN", "from env")
    assert lan('password = "plain"').password.reveal() == "plain"
    assert lan('password = { file = "lan.password" }').password.reveal() == " from file "
    both = lan('keys = ["a", { env = "UC_BERLIN" }]').keys
    assert [key.reveal() for key in both] == ["a", "from env"]
    assert both[1].source == "env UC_BERLIN"
    assert [key.inline for key in both] == [True, False]
    assert not lan('password = { file = "lan.password" }').password.inline


def test_a_credential_is_the_file_that_systemd_hands_over(lan, tmp_path, monkeypatch):
    text = 'password = { credential = "lan" }'
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert "4:12: lan.password: there is no credential lan: systemd hands it" in refusal(lan, text)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert f"no credential lan in {tmp_path}; LoadCredential=lan:" in refusal(lan, text)
    (tmp_path / "lan").write_text("handed over\n")
    secret = lan(text).password
    assert (secret.reveal(), secret.source, secret.path) == (
        "handed over",
        "credential lan",
        tmp_path / "lan",
    )
    assert "is no name of a credential" in refusal(lan, 'password = { credential = "../lan" }')


def test_for_a_service_elsewhere_only_what_cannot_be_seen_from_here_is_no_mistake(lan, monkeypatch):
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    for text in ('{ env = "SIPX_NOT_SET" }', '{ credential = "lan" }'):
        secret = lan(f"password = {text}", elsewhere=True).password
        assert secret.reveal() == ""
        assert not secret.inline
    with pytest.raises(ConfigError, match="No such file"):
        lan('password = { file = "none" }', elsewhere=True)


def test_a_secret_is_never_shown(lan):
    config = lan('password = "hunter2"\nkeys = ["hunter2"]')
    shown = [
        repr(config),
        str(config),
        str(config.password),
        f"{config.password}",
        str(config.model_dump()),
        config.model_dump_json(),
        json.dumps(config.model_dump(mode="json")),
    ]
    assert not any("hunter2" in text for text in shown)


def test_secrets_are_equal_when_their_values_are():
    assert Secret("a") == Secret("a", "elsewhere")
    assert Secret("a") != Secret("b")
    assert len({Secret("a"), Secret("a")}) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "password = 5",
            '4:12: lan.password: not a secret; allowed: "...", { file = "..." }, { env = "..." } '
            'or { credential = "..." }',
        ),
        (
            'password = { fiel = "x" }',
            '4:12: lan.password: unknown key \'fiel\'; allowed: "...", { file = "..." }, '
            '{ env = "..." } or { credential = "..." }; did you mean \'file\'?',
        ),
        ('password = ""', "4:12: lan.password: the secret is empty"),
        (
            'password = { env = "SIPX_NOT_SET" }',
            "4:12: lan.password: the environment variable SIPX_NOT_SET is not set",
        ),
    ],
)
def test_a_secret_that_cannot_be_had_is_a_problem(lan, text, expected):
    assert refusal(lan, text) == expected


def test_a_secret_file_that_cannot_be_read_is_a_problem(lan, tmp_path):
    assert refusal(lan, 'password = { file = "none" }') == (
        f"4:12: lan.password: the file {tmp_path}/none cannot be read: No such file or directory"
    )


def test_a_problem_elsewhere_never_shows_a_secret(lan):
    assert "hunter2" not in refusal(lan, 'password = "hunter2"\nport = 1')


def test_without_looking_at_the_machine_a_secret_file_may_be_absent(lan):
    assert lan('password = { file = "none" }', addresses=None).password.source == "file none"

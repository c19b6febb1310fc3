"""What the table may say, each refusal by its text."""

from __future__ import annotations

import pytest
from pydantic import ValidationError
from sipx_lan import ServerConfig
from sipx_lan.accounts import AccountTable
from sipx_lan.values import Users

from sipx import ConfigError, SenderKind
from sipx.testing import read_configuration

HEAD = """\
config_version = 1
domains = ["home.example"]
plugins = ["udp", "tcp", "tls", "lan"]
[interface.wan]
bind = "{bind}"
port = 5060
protocol = "tcp"
role = "{role}"
[certificate.own]
cert_file = "own.crt"
key_file = "own.key"
[lan]
"""


def lan(tmp_path, text, *, bind="127.0.0.1", role="wan"):
    """The table [lan] of a configuration file. Raises ConfigError."""
    settings = read_configuration(HEAD.format(bind=bind, role=role) + text, tmp_path)
    return settings.plugins["lan"]


PUBLIC = 'bind = "*"\nport = 5070\n'
PRIVATE = 'bind = "127.0.0.1"\nport = 5070\n'
A = '[lan.server.a]\npassword = "x"\n'


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ('password = "x"', "password without user; allowed: user = the name"),
        ('bind = "eth0"', "13:8: .*'eth0' is not an IP address; allowed: an address of this"),
        ("port = 5070", "port without bind"),
        ('certificate = "own"', "certificate without bind"),
        ('addresses = "10.0.0.0/8"', "addresses without user"),
        ('user = "a b"', "'a b' is no user name"),
        ('user = "u"\nrealm = "a\\"b"', "is no realm"),
        (
            PUBLIC + 'user = "u"',
            "15:8: .*shared user has no password, and lan is not bound to a pr",
        ),
        ('bind = "10.0.0.1"\nprotocol = "mtls"', "mtls needs a certificate; .*known: own"),
        ('bind = "10.0.0.1"\nprotocol = "tls"\ncertificate = "owm"', r"no \[certificate.owm\]"),
        ('bind = "127.0.0.1"', "port 5060 is taken by interface.wan"),
        ('bind = "*"\nport = 5060', "14:8: .*port 5060 is taken by interface.wan"),
        (PRIVATE + "ban_after = 0", "15:13: .*greater than or equal to 1|0 is less than"),
        (PRIVATE + 'nonce_lifetime = "0s"', "nonce_lifetime"),
        (PRIVATE + "[lan.server.'a@b']", "'a@b' cannot be the name of an account"),
        (PRIVATE + "[lan.server.'b.example']", "'b.example' cannot be the name of an account"),
        (PRIVATE + A + 'users = "a*b*c*d"', "17:9: .*more than 2 stars"),
        (PRIVATE + A + "users = []", "an empty list names nobody"),
        (PRIVATE + A + "users = 5", "no users are named"),
        (PRIVATE + A + 'users = { path = "x" }', "users in a table come from a file"),
        (PRIVATE + A + 'addresses = "10.0.0.1/8"', 'host|write "10.0.0.0/8" for the network'),
        (PRIVATE + A + "port = 5060", "port without server"),
        (PRIVATE + A + 'server = "sip:x"', "'sip:x' is no server"),
        (PRIVATE + A + 'kind = "partner"', "authorises nothing without routes"),
        (
            PRIVATE + A + 'kind = "partner"\nroutes = ["b.example"]\nusers = "x"',
            'users says nothing for kind = "partner"',
        ),
        (PRIVATE + A + 'kind = "user"\nweight = 2', 'weight says nothing for kind = "user"'),
        (PRIVATE + A + 'ca = "ca.crt"', "ca without certificate"),
        (
            PRIVATE + '[lan.server.a]\nkind = "partner"\nroutes = ["b.example"]',
            "proves nothing without a password",
        ),
        (
            PRIVATE + A + 'kind = "partner"\nroutes = ["b.example"]\ncertificate = "b.example"',
            'certificate says nothing for kind = "partner"',
        ),
        (PRIVATE + A + 'pins = "abcd"', "is no SHA-256 hash"),
        (
            PRIVATE + A + 'server = "10.0.0.9"\nprotocol = "tls"',
            "17:10: .*nothing says what the certificate of 10.0.0.9 has to name",
        ),
        (
            PRIVATE + 'user = "A"\npassword = "x"\n' + A,
            "the user 'a' is that of lan.user, which all UC servers share, too",
        ),
        (
            PRIVATE + A + '[lan.server.b]\nuser = "A"\npassword = "y"',
            "18:8: .*the user 'A' is that of lan.server.a, too",
        ),
        (
            PRIVATE
            + '[lan.server.a]\ncertificate = "x.example"\n'
            + '[lan.server.b]\ncertificate = "X.example"',
            "x.example proves lan.server.a already",
        ),
        (
            PUBLIC + "[lan.server.a]\n",
            "the account a has no password, and lan is not bound .*or a certificate over mtls",
        ),
        (
            PRIVATE + '[lan.server.a]\naddresses = ["10.0.0.0/8", "0.0.0.0/0"]',
            "16:28: .*0.0.0.0/0 is not a private network",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_words(tmp_path, text, wrong):
    with pytest.raises(ConfigError, match=f"(?s){wrong}"):
        lan(tmp_path, text)


def test_a_role_of_an_interface_counts_like_the_own_listener(tmp_path):
    text = "[lan.server.a]\n"
    assert lan(tmp_path, text, role="lan").server["a"].password is None
    with pytest.raises(ConfigError, match=r"interface\.wan is not bound to a private address"):
        lan(tmp_path, text, role="lan", bind="203.0.113.1")


def test_an_interface_of_the_same_name_is_refused(tmp_path):
    text = HEAD.replace("interface.wan", "interface.lan") + PRIVATE
    with pytest.raises(ConfigError, match=r"there is an \[interface\.lan\] besides"):
        read_configuration(text.format(bind="127.0.0.1", role="wan"), tmp_path)


def test_what_is_switched_off_is_in_nobodys_way(tmp_path):
    config = lan(
        tmp_path, PUBLIC + A + '[lan.server.b]\nenabled = false\nuser = "a"\nkind = "server"'
    )
    assert list(config.accounts()) == ["a"]


@pytest.mark.parametrize(
    ("protocol", "port"), [("tcp", 5060), ("udp", 5060), ("tls", 5061), ("mtls", 5061)]
)
def test_the_port_follows_the_protocol(tmp_path, protocol, port):
    text = f'bind = "127.0.0.2"\nprotocol = "{protocol}"\ncertificate = "own"\n'
    assert lan(tmp_path, text).listen_port == port


# ---------------------------------------------------------------- files with users


def users(directory):
    given = {"users": {"file": "u"}}
    return ServerConfig.model_validate(given, context={"base": directory}).users


def test_a_file_names_one_user_on_each_line(tmp_path):
    (tmp_path / "u").write_text("# the capital\n*.berlin\n\n desk # in front\ndesk\n")
    assert users(tmp_path) == Users(("*.berlin", "desk"), tmp_path / "u")


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (b"anna\nb*c*d*e\n", "line 2 of .*u: 'b.c.d.e' has more than 2 stars"),
        (b"# nobody\n", "names nobody"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (None, "u cannot be read: No such file"),
    ],
)
def test_a_file_that_cannot_be_used_is_told(tmp_path, content, wrong):
    if content is not None:
        (tmp_path / "u").write_bytes(content)
    with pytest.raises(ValidationError, match=wrong):
        users(tmp_path)


# ---------------------------------------------------------------- what is made of it


def table(tmp_path, text):
    return AccountTable(lan(tmp_path, PRIVATE + text), frozenset({b"home.example"}))


def test_everything_reaches_the_account(tmp_path):
    [entry] = table(
        tmp_path,
        '[lan.server.Berlin]\nuser = "UC1"\npassword = "x"\nusers = ["*.berlin", "desk"]\n'
        'weight = 3\nmax_users = 9\nserver = "uc.example"\nprotocol = "mtls"\n',
    )
    account = entry.account
    assert (account.name, account.kind, account.logon) == ("Berlin", SenderKind.UC_SERVER, b"uc1")
    assert (account.weight, account.max_users) == (3, 9)
    assert account.users.patterns == ("*.berlin", "desk")
    assert (account.hop.host, account.hop.port, account.hop.transport) == (
        "uc.example",
        5061,
        "mtls",
    )
    assert (account.partner.name, account.partner.names) == ("Berlin", frozenset({b"uc.example"}))


def test_partners_are_no_accounts_and_authorise_their_routes(tmp_path):
    found = table(
        tmp_path,
        A + '[lan.server.p]\nkind = "partner"\npassword = "y"\nroutes = ["B.example", "*"]\n',
    )
    assert [entry.name for entry in found] == ["a"]
    assert [entry.name for entry in found.for_route("b.example")] == ["p"]
    assert [entry.name for entry in found.for_route("*")] == ["p"]
    assert found.for_route("c.example") == ()


def test_the_shared_account_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr("sipx_lan.accounts.MAX_SHARED", 3)
    found = table(tmp_path, 'user = "U"\npassword = "x"\n')
    for address in ("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.1", "10.0.0.4"):
        found.at(found.shared, address)
    assert [entry.name for entry in found] == ["u@10.0.0.3", "u@10.0.0.1", "u@10.0.0.4"]

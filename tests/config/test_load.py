"""Configuration errors, each by its text; and settings that are right."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sipx.config import ConfigError, Document, Settings, check, json_schema, load
from sipx.errors import PluginError
from sipx.registry import Registry

HERE = frozenset({"127.0.0.1", "192.0.2.1", "192.0.2.2", "2001:db8::1"})
TOP = 'domains = ["example.com"]\n'

ROUTES = '''
from typing import Annotated
from ipaddress import IPv4Address
from pathlib import Path
from pydantic import BaseModel, Field, model_validator
from sipx.plugin import Config, hookimpl
from sipx.config import ByDomain, Duration, Port

class Route(Config):
    server: str | list[str]
    """Where its servers are."""
    port: Port = 5060
    trusted: bool = False

    @model_validator(mode="after")
    def _not_both(self):
        if self.trusted and self.port == 1:
            raise ValueError("a trusted route cannot use port 1")
        return self

class RoutesConfig(Config):
    """The table."""
    route: ByDomain[Route] = {}
    tries: Annotated[int, Field(ge=1, le=9)] = 3
    pause: Duration = 0.5
    directory: Path = Path("/var/lib")
    source: IPv4Address | None = None

    def problems(self, kernel):
        for name in self.route:
            if name in kernel.domains:
                yield ("route", name, "server"), f"{name} is served here", "remove the route"

class Routes:
    """Leads partner domains to their servers."""
    Config = RoutesConfig
    def __init__(self, config, proxy): pass
    @hookimpl
    def services(self): return ()
'''

SIMPLE = """
from sipx.plugin import Config, hookimpl

class LanConfig(Config):
    user: str
    '''The account of the UC servers.'''

class Lan:
    Config = LanConfig
    def __init__(self, config, proxy): pass
    @hookimpl
    def services(self): return ()
"""


def problems(text: str, *, top: str = TOP) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        check(Document.from_text(top + text), Registry(), addresses=lambda: HERE)
    assert "pydantic" not in str(caught.value)
    return [str(problem) for problem in caught.value.problems]


def settings(text: str, *, top: str = TOP) -> Settings:
    return check(Document.from_text(top + text), Registry(), addresses=lambda: HERE)


@pytest.fixture
def routes(install):
    install("sipx-lab", {"lab-routes": "fake_routes:Routes"}, fake_routes=ROUTES)
    install("sipx-fake-lan", {"fake-lan": "fake_lan:Lan"}, fake_lan=SIMPLE)


# ---------------------------------------------------------------- the errors everybody makes


def test_an_unknown_key_is_named_with_the_known_ones_and_a_guess():
    assert problems('[interface.wan]\nprot = 5061\nport = 0\nprotocol = "udp"\n') == [
        "sipx.toml:3:1: interface.wan.prot: unknown key 'prot'; known: advertise, bind, "
        "certificate, client_certificate, eku_policy, enabled, port, protocol, role; "
        "did you mean 'port'?"
    ]


def test_an_unknown_table_is_named_with_a_guess(routes):
    assert problems("[interfaces.wan]\nport = 1\n")[0].endswith("did you mean 'interface'?")
    assert problems("[lab-route]\ntries = 1\n")[0].startswith(
        "sipx.toml:2:2: lab-route: unknown table 'lab-route'; known: "
    )
    assert problems("[lab-route]\n")[0].endswith("; did you mean 'lab-routes'?")


def test_an_unknown_top_level_key_is_named_with_a_guess():
    assert problems("plugin = []\n")[0].startswith("sipx.toml:2:1: plugin: unknown key 'plugin'")
    assert problems("plugin = []\n")[0].endswith("did you mean 'plugins'?")


def test_a_top_level_key_below_a_table_is_told_where_it_belongs():
    assert problems("[wan]\nplugins = []\n") == [
        "sipx.toml:3:1: wan.plugins: unknown key 'plugins'; known: certificate, public_address, "
        "public_port, use_public_address; 'plugins' belongs at the top of the file, before the "
        "first table"
    ]


def test_the_table_of_an_installed_plugin_that_is_not_listed_is_an_error(routes):
    assert problems('plugins = ["fake-lan"]\n[fake-lan]\nuser = "u"\n[lab-routes]\n') == [
        "sipx.toml:5:2: lab-routes: the plugin 'lab-routes' is installed but not listed in "
        'plugins, so this table does nothing; add it: plugins = ["fake-lan", "lab-routes"]'
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[wan]\nuse_public_address = "yes"', "3:22: wan.use_public_address: 'yes' is text; "
         "allowed: true or false"),
        ("[wan]\nuse_public_address = 1", "3:22: wan.use_public_address: 1 is a whole number; "
         "allowed: true or false"),
        ("[wan]\ncertificate = 5", "3:15: wan.certificate: 5 is a whole number; allowed: text"),
        ("[limits]\nvias = '70'", "3:8: limits.vias: '70' is text; allowed: a whole number"),
        ("[limits]\nvias = true", "3:8: limits.vias: true is not a whole number; "
         "allowed: a whole number"),
        ('wan = "x"', "2:7: wan: 'x' is text; allowed: a table"),
        ("[[interface]]\nport = 1", "2:3: interface: this is a list; allowed: a table"),
        ('plugins = "udp"', "2:11: plugins: 'udp' is text; allowed: a list"),
        ("plugins = [5]", "2:12: plugins[0]: 5 is a whole number; allowed: text"),
        ("[dns]\ntimeout = '5x'", "3:11: dns.timeout: '5x' is not a duration; allowed: seconds "
         'as a number, or text such as "500ms", "30s", "15m", "1h", "21d"'),
        ("[log]\nlevel = 'inof'", "3:9: log.level: 'inof' is not known here; allowed: error, "
         "warning, info, debug, trace; did you mean 'info'?"),
        ("[trust]\nmin_tls = '1.1'", "3:11: trust.min_tls: '1.1' is not known here; "
         'allowed: "1.2" or "1.3"'),
        ("[trust]\nmin_tls = 1.2", "3:11: trust.min_tls: 1.2 is not known here; "
         'allowed: "1.2" or "1.3"'),
        ("[trust]\nca = 5", "3:6: trust.ca: 5 is not known here; allowed: system or a path, "
         "relative to the configuration file"),
    ],
)  # fmt: skip
def test_a_value_of_the_wrong_type_is_told_with_what_is_allowed(text, expected):
    assert problems(text) == [f"sipx.toml:{expected}"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[interface.wan]\nprotocol='udp'\nport = 70000",
         "4:8: interface.wan.port: 70000 is more than 65535; allowed: 0 to 65535"),
        ("[interface.wan]\nprotocol='udp'\nport = -1",
         "4:8: interface.wan.port: -1 is less than 0; allowed: 0 to 65535"),
        ("[wan]\npublic_port = 0",
         "3:15: wan.public_port: 0 is less than 1; allowed: 1 to 65535"),
        ("[limits]\nvias = 0", "3:8: limits.vias: 0 is less than 1; allowed: 1 to 1000000000"),
        ("[dns]\ntimeout = 0", "3:11: dns.timeout: 0 is not more than 0; allowed: more than 0"),
    ],
)  # fmt: skip
def test_a_value_out_of_range_is_told_with_the_range(text, expected):
    assert problems(text) == [f"sipx.toml:{expected}"]


def test_a_domain_given_twice_as_a_table_is_an_error_of_the_file():
    with pytest.raises(ConfigError, match=r"'a\.example' is given twice, first on line 1"):
        Document.from_text('[static-routes.route."a.example"]\n[static-routes.route."a.example"]')


def test_a_domain_given_twice_in_two_spellings_is_an_error(routes):
    text = 'plugins = ["lab-routes"]\n[lab-routes.route]\n"a.example" = {server="x"}\n'
    assert problems(text + '"A.example" = {server="y"}\n') == [
        "sipx.toml:3:2: lab-routes.route: 'A.example' and 'a.example' are the same domain; "
        "allowed: each domain once; remove one of the two tables"
    ]
    assert problems("", top='domains = ["a.example", "A.example."]') == [
        "sipx.toml:1:11: domains: 'a.example' is given twice; allowed: each name once"
    ]


def test_a_bind_address_that_is_not_of_this_machine_is_an_error():
    text = '[interface.wan]\nbind = "198.51.100.7"\nport = 0\nprotocol = "udp"\n'
    assert problems(text) == [
        "sipx.toml:3:8: interface.wan.bind: 198.51.100.7 is not an address of this machine; "
        'allowed: 127.0.0.1, 192.0.2.1, 192.0.2.2, 2001:db8::1 or "*" for all'
    ]
    assert settings(text + "enabled = false")


@pytest.mark.parametrize(
    "bind", ["*", "0.0.0.0", "::", "127.0.0.1", "127.0.0.9", "::1", "192.0.2.1"]
)
def test_bind_addresses_of_every_machine_and_of_this_one_are_taken(bind):
    kernel = settings(f'[interface.a]\nbind = "{bind}"\nport = 0\nprotocol = "udp"').kernel
    assert kernel.interface["a"].bind == bind


def two(first: str, second: str) -> str:
    return f"[interface.a]\n{first}\n[interface.b]\n{second}\n"


def test_two_interfaces_on_one_address_are_an_error():
    one = 'bind = "192.0.2.1"\nport = 5060\nprotocol = "tcp"'
    assert problems(two(one, one.replace('"tcp"', '"ws"'))) == [
        "sipx.toml:8:8: interface.b.port: TCP port 5060 on 192.0.2.1 is taken by interface.a, "
        "which listens on 192.0.2.1; allowed: one interface for each address and port; change "
        "bind or port, or set enabled = false in one of them"
    ]
    assert (
        "interface.a, which listens on all addresses;"
        in (problems(two(one.replace("192.0.2.1", "*"), one))[0])
    )


@pytest.mark.parametrize(
    "second",
    [
        'bind = "192.0.2.1"\nport = 5060\nprotocol = "udp"',
        'bind = "192.0.2.1"\nport = 5061\nprotocol = "tcp"',
        'bind = "192.0.2.2"\nport = 5060\nprotocol = "tcp"',
        'bind = "::"\nport = 5060\nprotocol = "tcp"',
        'bind = "*"\nport = 5060\nprotocol = "tcp"\nenabled = false',
        'bind = "192.0.2.1"\nport = 0\nprotocol = "tcp"',
    ],
)
def test_interfaces_that_differ_in_address_port_or_family_do_not_collide(second):
    first = 'bind = "192.0.2.1"\nport = 5060\nprotocol = "tcp"'
    assert len(settings(two(first, second)).kernel.interface) == 2


def test_port_0_never_collides():
    free = 'bind = "192.0.2.1"\nport = 0\nprotocol = "tcp"'
    assert settings(two(free, free))


def test_a_syntax_error_is_the_only_problem(tmp_path):
    path = tmp_path / "sipx.toml"
    path.write_text("domains = [1,\n2")
    with pytest.raises(ConfigError) as caught:
        load(path, Registry())
    assert str(caught.value) == f"{path}:2:2: not TOML: unclosed array"


# ---------------------------------------------------------------- more rules of the kernel


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("domains = []", "1:11: domains: no domain is given; "
         'allowed: at least one, such as ["example.com"]'),
        ('domains = ["sip:x@a.example"]', "1:12: domains[0]: 'sip:x@a.example' is not a domain "
         'name; allowed: a domain name such as "example.com"; write the domain alone, without '
         "'sip:' and user"),
        ("[wan]", "domains: is missing; The presence domains served here."),
        ('config_version = 2\ndomains = ["a.example"]',
         "1:18: config_version: version 2 is not known to this sipx; allowed: 1"),
        ('domains = ["a.example"]\nplugins = ["nope-a", "nope-a"]',
         "2:11: plugins: 'nope-a' is given twice; allowed: each name once"),
    ],
)  # fmt: skip
def test_the_keys_at_the_top_are_checked(text, expected):
    assert problems(text, top="")[0].removeprefix("sipx.toml:").strip() == expected


def test_a_certificate_must_exist_and_secure_protocols_need_one():
    assert problems('[interface.a]\nport = 0\nprotocol = "mtls"\n') == [
        "sipx.toml:4:12: interface.a.protocol: mtls needs a certificate; set "
        "interface.a.certificate or wan.certificate to a [certificate.NAME]"
    ]
    text = '[wan]\ncertificate = "mian"\n[certificate.main]\ncert_file="a"\nkey_file="b"\n'
    assert problems(text) == [
        "sipx.toml:3:15: wan.certificate: there is no [certificate.mian]; known: main; "
        "did you mean 'main'?"
    ]


def test_a_certificate_has_one_source():
    assert problems('[certificate.main]\ncert_file = "a"\n') == [
        "sipx.toml:2:2: certificate.main: key_file missing; allowed: cert_file and key_file, "
        "or pkcs12_file"
    ]


def test_a_key_that_is_missing_is_shown_at_its_table_with_its_help():
    assert problems("[interface.a]\nport = 1\n") == [
        "sipx.toml:2:2: interface.a.protocol: is missing; "
        "How messages arrive: udp, tcp, tls, mtls, ws or wss."
    ]


# ---------------------------------------------------------------- plugins' tables


def test_the_tables_of_plugins_are_checked_like_the_kernels(routes):
    assert problems(
        'plugins = ["lab-routes"]\n'
        "[lab-routes]\ntries = 10\npasue = 1\nsource = 'x'\n"
        '[lab-routes.route."a.example"]\nserver = ["a", 5]\n'
        '[lab-routes.route."b.example"]\nserver = 5\nprot = 1\n'
        '[lab-routes.route."c d"]\nserver = "c"\n'
        '[lab-routes.route."d.example"]\nserver = "d"\ntrusted = true\nport = 1\n'
    ) == [
        "sipx.toml:4:9: lab-routes.tries: 10 is more than 9; allowed: 1 to 9",
        "sipx.toml:5:1: lab-routes.pasue: unknown key 'pasue'; known: directory, enabled, pause, "
        "route, source, tries; did you mean 'pause'?",
        "sipx.toml:6:10: lab-routes.source: Expected 4 octets in 'x'",
        'sipx.toml:8:16: lab-routes.route."a.example".server[1]: 5 is a whole number; '
        "allowed: text",
        'sipx.toml:10:10: lab-routes.route."b.example".server: 5 is a whole number; '
        "allowed: text or a list",
        "sipx.toml:11:1: lab-routes.route.\"b.example\".prot: unknown key 'prot'; known: "
        "enabled, port, server, trusted; did you mean 'port'?",
        "sipx.toml:12:2: lab-routes.route.\"c d\": 'c d' is not a domain name; "
        'allowed: a domain name such as "example.com"',
        'sipx.toml:14:2: lab-routes.route."d.example": a trusted route cannot use port 1',
    ]


def test_rules_between_a_plugins_table_and_the_kernels_are_asked(routes):
    text = 'plugins = ["lab-routes"]\n[lab-routes.route."example.com"]\nserver = "a"\n'
    assert problems(text) == [
        'sipx.toml:4:10: lab-routes.route."example.com".server: example.com is served here; '
        "remove the route"
    ]


def test_a_rule_of_a_plugin_that_raises_names_the_plugin(install):
    source = ROUTES.replace("for name in self.route:", "for name in self.nothing:")
    install("sipx-lab", {"lab-routes": "fake_raising:Routes"}, fake_raising=source)
    with pytest.raises(PluginError, match=r"plugin 'lab-routes': problems\(\) of its Config"):
        settings('plugins = ["lab-routes"]')


def test_what_an_absent_table_lacks_is_shown_where_the_plugin_is_listed(routes):
    assert problems('plugins = ["lab-routes", "fake-lan"]\n') == [
        "sipx.toml:2:26: fake-lan.user: is missing; The account of the UC servers."
    ]


def test_a_plugins_table_that_is_no_table_is_an_error(routes):
    assert problems('plugins = ["lab-routes"]\nlab-routes = 5\n') == [
        "sipx.toml:3:14: lab-routes: 5 is a whole number; allowed: a table"
    ]


def test_a_list_of_plugins_that_is_wrong_in_part_still_points_at_the_right_place():
    assert problems('plugins = [5, "no-such"]')[1].startswith("sipx.toml:2:15: plugins[1]: not ")


def test_a_plugin_that_is_not_installed_is_shown_in_the_list(routes):
    (problem,) = problems('plugins = ["lab-routes", "lab-ruotes"]\n[lab-ruotes]\nx = 1\n')
    assert problem.startswith("sipx.toml:2:26: plugins[1]: not installed; installed: ")
    assert problem.endswith("; did you mean 'lab-routes'?")


def test_all_problems_are_told_in_one_run_in_the_order_of_the_file(routes):
    found = problems(
        '[wan]\ncertficate = "main"\n'
        '[interface.a]\nbind = "198.51.100.7"\nport = 70000\nprotocol = "udp"\n'
        "[lab-routes]\ntries = 0\n[statistics]\n",
        top='plugins = ["lab-routes", "no-such"]\ndomains = ["a..b"]\n',
    )
    keys = [problem.split(": ")[1] for problem in found]
    assert keys == [
        "plugins[1]",
        "domains[0]",
        "wan.certficate",
        "interface.a.bind",
        "interface.a.port",
        "lab-routes.tries",
        "statistics",
    ]


# ---------------------------------------------------------------- settings


def test_settings_hold_the_kernels_tables_and_those_of_listed_plugins_in_order(routes, tmp_path):
    path = tmp_path / "sipx.toml"
    path.write_text(
        'config_version = 1\ndomains = ["Example.com"]\nplugins = ["fake-lan", "lab-routes"]\n'
        '[interface.a]\nport = 0\nprotocol = "tcp"\n'
        '[lab-routes]\nenabled = false\ndirectory = "/tmp"\nsource = "192.0.2.1"\n'
        '[fake-lan]\nuser = "uc"\n[limits]\nwrite_queue = "64KiB"\nidle_timeout = "5m"\n'
    )
    found = load(path, Registry(), addresses=lambda: HERE)
    assert found.path == path
    assert found.kernel.domains == ("example.com",)
    assert found.kernel.limits.write_queue == 65536
    assert found.kernel.limits.idle_timeout == 300.0
    assert found.kernel.limits.messages().vias == found.kernel.limits.vias
    assert list(found.plugins) == ["fake-lan", "lab-routes"]
    assert found.plugins["lab-routes"].enabled is False
    assert found.plugins["lab-routes"].directory == Path("/tmp")
    assert found.plugins["fake-lan"].user == "uc"
    assert found.document.text == path.read_text()


def test_without_looking_at_the_machine_addresses_may_be_anybodys():
    text = TOP + '[interface.a]\nbind = "198.51.100.7"\nport = 0\nprotocol = "udp"\n'
    assert check(Document.from_text(text), Registry(), addresses=None)


def test_defaults_alone_are_a_valid_configuration():
    kernel = settings("").kernel
    assert kernel.plugins == ()
    assert kernel.dns.timeout == 5.0
    assert kernel.trust.ca == "system"


def test_the_schema_describes_the_kernels_and_the_plugins_tables(routes):
    schema = json_schema(Registry().load(["lab-routes"]))
    assert json.dumps(schema)
    assert set(schema["properties"]) >= {"domains", "interface", "limits", "lab-routes"}
    assert schema["additionalProperties"] is False
    route = schema["$defs"]["Route"]["properties"]
    assert route["port"] == {"default": 5060, "maximum": 65535, "minimum": 0, "title": "Port",
                             "type": "integer"}  # fmt: skip
    assert route["server"]["description"] == "Where its servers are."


@pytest.mark.parametrize(
    "table",
    [
        '[log.levels]\nproxy = "debug"\n"plugin.udp" = "trace"',
        '[log.levels]\nproxy = "debug"\nplugin.udp = "trace"',
        '[log.levels]\n"sipx.proxy" = "debug"\nsipx.plugin.udp = "trace"',
        '[log]\nlevels = { proxy = "debug", sipx.plugin.udp = "trace" }',
    ],
)
def test_areas_of_the_log_may_be_written_as_people_write_them(table):
    log = settings(table).kernel.log
    assert log.levels == {"sipx.proxy": "debug", "sipx.plugin.udp": "trace"}


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ('"a b" = "debug"', "log.levels"),
        ('proxy = "loud"', "log.levels.proxy"),
        ("proxy = 3", "log.levels.proxy"),
        ('plugin.udp = "loud"', "log.levels"),
    ],
)
def test_what_is_no_area_or_no_level_of_the_log_is_told(table, expected):
    [said] = problems("[log.levels]\n" + table)
    assert expected in said


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ('"0.0.0.0"', "advertise: '0.0.0.0' is no address that peers can send to; allowed: true"),
        ('"198.51.100.7:0"', "advertise: '198.51.100.7:0' is no address that peers can send to"),
        ("7", "advertise: 7 is no address that peers can send to; allowed: true, false, or an"),
    ],
)
def test_what_an_interface_advertises_is_checked(value, wrong):
    (said,) = problems(f"[interface.wan]\nprotocol = 'udp'\nport = 5060\nadvertise = {value}")
    assert wrong in said


def test_the_public_port_has_a_key_of_its_own():
    (said,) = problems("[wan]\npublic_address = '198.51.100.7:5061'")
    assert said.endswith('or "auto"; the port has a key of its own, public_port')


@pytest.mark.parametrize("value", ["0.0.0.0", "::", "239.1.2.3", "a b"])
def test_the_public_address_is_one_that_peers_can_send_to(value):
    (said,) = problems(f"[wan]\npublic_address = '{value}'")
    assert f"wan.public_address: '{value}' is no address that peers can send to" in said

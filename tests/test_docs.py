"""The documentation is true: its blocks run, its tables and signatures are those of the code.

How blocks are read:

* a ```toml block is a configuration file and is loaded as one, without looking at this machine;
* behind ``<!-- fragment -->`` it lacks the head of a file: ``domains`` and ``plugins`` are added;
* behind ``<!-- wrong -->`` it is refused, and the ```text block that follows is what sipx says;
* one with a table of pyproject.toml is none of sipx's: it stands in a file under docs/examples;
* a ```python block stands in one piece in a file under docs/examples, and those are imported;
* a ```js block stands in one piece in such a file, too, and a browser runs it.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
import tomllib
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple, get_args

import click
import pytest
import trio
from pydantic import BaseModel

from sipx.config import ConfigError, Document, KernelConfig, check
from sipx.config.model import LimitsConfig
from sipx.config.values import show
from sipx.events import TransactionRecord
from sipx.plugin import Config, Later
from sipx.registry import Registry, specifications
from sipx.sip import parse_datagram

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
EXAMPLES = DOCS / "examples"
SHIPPED = (
    "udp",
    "tcp",
    "tls",
    "lan",
    "registrar",
    "static-routes",
    "open-federation",
    "rfc3263",
    "log-rotation",
    "metrics",
    "stun",
    "monitor",
    "hep",
)
PAGES = sorted(
    [
        ROOT / "README.md",
        ROOT / "CHANGELOG.md",
        *DOCS.glob("*.md"),
        *(ROOT / "plugins").glob("*/README.md"),
    ]
)
EXAMPLE_FILES = sorted(EXAMPLES.glob("*.py"))
PYPROJECT = {"project", "build-system", "tool"}
DEMANDING = ("open-federation",)
"""Plugins that need more than their defaults: a fragment lists those whose table it shows."""
HEAD = {"domains": 'domains = ["example.com"]', "plugins": f"plugins = {list(SHIPPED)}"}
FORBIDDEN = ("/" + "work/", ".." + "/shared")


class Block(NamedTuple):
    """A fenced block: its page and line, its language, the comment before it, its text."""

    page: Path
    line: int
    language: str
    mark: str
    text: str
    after: str

    @property
    def name(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


_FENCE = re.compile(r"(?:<!-- (\w+) -->\n)?^```(\w*)\n(.*?)^```$", re.M | re.S)


def blocks(*languages: str) -> list[Block]:
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in _FENCE.finditer(text):
            if match[2] in languages:
                line = text.count("\n", 0, match.start()) + 1
                after = _FENCE.match(text, match.end() + 2)
                found.append(
                    Block(page, line, match[2], match[1] or "", match[3], after[3] if after else "")
                )
    return found


def named(items: list[Block]) -> list[object]:
    return [pytest.param(item, id=item.name) for item in items]


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The shipped plugins, and the example packages as if they were installed."""
    found = [entry for entry in entry_points(group="sipx") if entry.name in SHIPPED]
    for file in sorted(EXAMPLES.glob("*/pyproject.toml")):
        monkeypatch.syspath_prepend(file.parent)
        plugins = tomllib.loads(file.read_text()).get("project", {}).get("entry-points", {})
        for name, value in plugins.get("sipx", {}).items():
            found.append(EntryPoint(name, value, "sipx"))
    return Registry(found)


@pytest.fixture
def shipped() -> Registry:
    return Registry([entry for entry in entry_points(group="sipx") if entry.name in SHIPPED])


def is_pyproject(block: Block) -> bool:
    return block.mark != "wrong" and bool(PYPROJECT & tomllib.loads(block.text).keys())


WRONG = [b for b in blocks("toml") if b.mark == "wrong"]
CONFIGURATIONS = [b for b in blocks("toml") if b.mark != "wrong" and not is_pyproject(b)]
CODE = [*blocks("python", "js"), *(b for b in blocks("toml") if is_pyproject(b))]


# ---------------------------------------------------------------- blocks


@pytest.mark.parametrize("block", named(CONFIGURATIONS))
def test_a_configuration_of_the_documentation_is_valid(block: Block, registry: Registry) -> None:
    text = block.text
    if block.mark == "fragment":
        values = tomllib.loads(text)
        listed = [name for name in SHIPPED if name not in DEMANDING or name in values]
        head = {**HEAD, "plugins": f"plugins = {listed}"}
        text = "".join(f"{line}\n" for key, line in head.items() if key not in values) + text
    check(Document.from_text(text), registry, addresses=None)


@pytest.mark.parametrize("block", named(WRONG))
def test_a_mistake_is_told_as_the_documentation_shows(block: Block, shipped: Registry) -> None:
    with pytest.raises(ConfigError) as refused:
        check(Document.from_text(block.text), shipped, addresses=None)
    assert str(refused.value) == block.after.rstrip()


@pytest.mark.parametrize("block", named(CODE))
def test_a_block_of_code_stands_in_an_example_that_is_run(block: Block) -> None:
    suffix = {"python": "*.py", "js": "*.js"}.get(block.language, "*.toml")
    files = [f.read_text(encoding="utf-8") for f in EXAMPLES.rglob(suffix)]
    assert any(f"\n{block.text}" in f"\n{text}" for text in files), f"{block.name} is in no file"


def test_there_are_blocks_of_each_kind() -> None:
    assert len(CONFIGURATIONS) > 5
    assert len(blocks("python")) > 3
    assert len(WRONG) > 2


# ---------------------------------------------------------------- examples


def imported(path: Path) -> object:
    name = f"sipx_docs_example_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def plugin_of(path: Path) -> type:
    module = imported(path)
    [found] = [
        item
        for item in vars(module).values()
        if isinstance(item, type) and isinstance(vars(item).get("Config"), type)
    ]
    return found


@pytest.mark.parametrize("path", EXAMPLE_FILES, ids=lambda path: path.stem)
def test_an_example_is_a_plugin_that_the_registry_takes(path: Path) -> None:
    cls = plugin_of(path)
    entry = EntryPoint("example", f"{cls.__module__}:{cls.__name__}", "sipx")
    classes, problems = Registry([entry]).examine(["example"])
    assert problems == ()
    assert classes["example"] is cls


def message(body: bytes = b"hello") -> object:
    return parse_datagram(
        b"MESSAGE sip:bob@example.com SIP/2.0\r\n"
        b"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1\r\n"
        b"From: <sip:ada@partner.example>;tag=1\r\nTo: <sip:bob@example.com>\r\n"
        b"Call-ID: a@b\r\nCSeq: 1 MESSAGE\r\nUser-Agent: Lab/1\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    )


def test_the_size_limit_refuses_what_is_too_large_and_nothing_else() -> None:
    cls = plugin_of(EXAMPLES / "size_limit.py")
    plugin = cls(cls.Config(message="1KiB"), None)
    assert plugin.validate_request(message(b"x" * 1024), None) is None
    assert plugin.validate_request(message(b"x" * 1025), None).status == 413


def test_hiding_software_edits_only_for_those_who_are_not_trusted() -> None:
    cls = plugin_of(EXAMPLES / "hide_software.py")
    plugin, request = cls(cls.Config(), None), message()
    plugin.forward_request(request, SimpleNamespace(trusted=True))
    assert request.get(b"User-Agent") == b"Lab/1"
    plugin.forward_request(request, SimpleNamespace(trusted=False))
    assert request.get(b"User-Agent") is None


async def test_the_directory_is_asked_later_and_only_for_our_users(tmp_path: Path) -> None:
    cls = plugin_of(EXAMPLES / "directory.py")
    users = tmp_path / "users"
    users.write_text("bob sip:bob@10.0.0.20:5070\n")
    ours = SimpleNamespace(domains=frozenset({b"example.com"}))
    later = cls(cls.Config(path=users), ours).determine_targets(message(), None)
    assert isinstance(later, Later)
    targets = await later.fn()
    assert targets.groups[0][0].uri == b"sip:bob@10.0.0.20:5070"
    others = SimpleNamespace(domains=frozenset({b"example.org"}))
    assert cls(cls.Config(path=users), others).determine_targets(message(), None) is None


async def test_call_records_are_written_by_the_service(
    tmp_path: Path, nursery: trio.Nursery
) -> None:
    cls = plugin_of(EXAMPLES / "call_records.py")
    plugin = cls(cls.Config(directory=tmp_path, queue=1), None)
    record = TransactionRecord(
        1.0, 1.5, b"MESSAGE", b"sip:bob@example.com", 200, *[b""] * 6, "udp:a", "udp:b", "", "", 1
    )
    plugin.transaction_ended(record)
    plugin.transaction_ended(record)
    assert plugin.lost == 1
    [service] = plugin.services()
    await nursery.start(service)
    file = tmp_path / "requests.log"
    with trio.fail_after(5):
        while not file.read_bytes():
            await trio.lowlevel.checkpoint()
    assert file.read_text() == "MESSAGE sip:bob@example.com 200 0.500\n"
    nursery.cancel_scope.cancel()


# ---------------------------------------------------------------- hooks


def signatures() -> dict[str, str]:
    """``name(argument: Type) -> Type`` of every hook, as the specification writes it."""
    tree = ast.parse((ROOT / "sipx/hookspecs.py").read_text(encoding="utf-8"))
    return {
        node.name: f"{node.name}({ast.unparse(node.args)}) -> {ast.unparse(node.returns)}"
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.returns is not None
    }


def test_every_hook_is_a_heading_with_its_exact_signature() -> None:
    page = (DOCS / "hooks.md").read_text(encoding="utf-8")
    documented = dict(re.findall(r"^### ([a-z_]+)\n\n`([^`]+)`$", page, re.M))
    assert documented == signatures()
    assert documented.keys() == specifications().keys()


# ---------------------------------------------------------------- configuration


def models(top: type[BaseModel], name: str = "") -> dict[str, type[BaseModel]]:
    """The model of each table below ``top``, by the heading that documents it."""
    found = {f"`[{name}]`" if name else "Top of the file": top}
    for key, field in top.model_fields.items():
        inner = _model_in(field.annotation)
        if inner is not None:
            tables = str(field.annotation).startswith(("dict", "typing.Annotated[dict"))
            placeholder = {"route": '"DOMAIN"', "partner": '"DOMAIN"'}.get(key, "NAME")
            path = ".".join(filter(None, [name, key, placeholder if tables else ""]))
            found |= models(inner, path)
    return found


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)


def plugin_models(name: str) -> dict[str, type[BaseModel]]:
    classes, _ = Registry().examine([name])
    return models(classes[name].Config, name)


KERNEL = models(KernelConfig)
DOCUMENTED = [
    *((DOCS / "configuration.md", head, model) for head, model in KERNEL.items()),
    *(
        (page, head, model)
        for name in SHIPPED
        for page in (DOCS / "configuration.md", ROOT / f"plugins/sipx-{name}/README.md")
        for head, model in plugin_models(name).items()
    ),
]


def rows(page: Path, heading: str) -> dict[str, tuple[str, str]]:
    """The table of keys below a heading: the default and the meaning of each."""
    text = page.read_text(encoding="utf-8")
    _, found, section = text.partition(f"\n## {heading}\n")
    assert found, f"{page.name} has no heading '## {heading}'"
    section = section.partition("\n## ")[0]
    lines = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+) \|$", section, re.M)
    return {key: (default, meaning) for key, default, meaning in lines}


@pytest.mark.parametrize(
    ("page", "heading", "model"),
    [pytest.param(*item, id=f"{item[0].parent.name}-{item[1]}") for item in DOCUMENTED],
)
def test_every_key_is_documented_with_its_default_and_meaning(
    page: Path, heading: str, model: type[BaseModel]
) -> None:
    keys = {key: f for key, f in model.model_fields.items() if _model_in(f.annotation) is None}
    documented = rows(page, heading)
    assert documented.keys() == keys.keys()
    for key, field in keys.items():
        default, meaning = documented[key]
        assert meaning == " ".join((field.description or "").split()), key
        if field.is_required():
            assert default == "required", key
        elif field.default is None:
            assert default == "none", key
        else:
            written = tomllib.loads(f"value = {default.strip('`')}")["value"]
            assert value_of(model, key, written) == field.default, f"{key} = {show(field.default)}"


def value_of(model: type[BaseModel], key: str, written: object) -> object:
    """What a model makes of a value in a file."""
    needed = {"port": 5060, "protocol": "udp", "domains": ["a.example"], "server": "192.0.2.1"}
    fields = model.model_fields
    given = {k: v for k, v in needed.items() if k in fields and fields[k].is_required()}
    given |= {"cert_file": "a", "key_file": "b"} if "cert_file" in fields else {}
    given |= {key: written}
    return getattr(model.model_validate(given, context={"offline": True}), key)


def test_the_table_of_limits_names_every_limit() -> None:
    page = (DOCS / "operations.md").read_text(encoding="utf-8")
    section = page.partition("\n## Limits\n")[2].partition("\n## ")[0]
    firsts = re.findall(r"^\| (`.+?`) \|", section, re.M)
    assert {name for first in firsts for name in re.findall(r"`(\w+)`", first)} == set(
        LimitsConfig.model_fields
    )


def test_the_example_with_everything_has_every_key(shipped: Registry) -> None:
    text = (EXAMPLES / "everything.toml").read_text(encoding="utf-8")
    values = check(Document.from_text(text), shipped, addresses=None).document.values()
    tables = {**KERNEL, **{k: v for name in SHIPPED for k, v in plugin_models(name).items()}}
    for heading, model in tables.items():
        path = [] if heading == "Top of the file" else re.findall(r"[\w-]+", heading)
        found = [values]
        for part in path:
            below = part in ("NAME", "DOMAIN")
            found = [t for v in found for t in (v.values() if below else [v[part]])]
        keys = {k for k, f in model.model_fields.items() if _model_in(f.annotation) is None}
        assert keys <= {key for table in found for key in table}, heading


@pytest.mark.parametrize("name", ["minimal.toml"])
def test_the_shortest_file_is_the_one_that_the_pages_show(name: str) -> None:
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    shown = [block.page.name for block in CONFIGURATIONS if block.text == text]
    assert shown == ["README.md", "configuration.md"]


# ---------------------------------------------------------------- commands


def command_paths(command: click.Command, path: tuple[str, ...]) -> list[str]:
    if not isinstance(command, click.Group):
        return [" ".join(path)]
    context = click.Context(command)
    found = []
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        assert inner is not None, name
        found += command_paths(inner, (*path, name))
    return found


def test_every_command_is_on_the_page_of_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sipx.cli.root import sipx

    # A file that lists the shipped plugins and no others, wherever the tests are run.
    file = tmp_path / "sipx.toml"
    file.write_text("\n".join(HEAD.values()))
    monkeypatch.setenv("SIPX_CONFIG", str(file))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    page = (DOCS / "cli.md").read_text(encoding="utf-8")
    documented = re.findall(r"^###? (sipx[ \w-]*)\n\n`\1[ `]", page, re.M)
    assert sorted(documented) == sorted(command_paths(sipx, ("sipx",)))


def test_every_exit_code_is_on_the_page_of_the_command_line() -> None:
    from sipx.cli.exits import ExitCode

    page = (DOCS / "cli.md").read_text(encoding="utf-8")
    section = page.partition("\n## Exit codes\n")[2].partition("\n## ")[0]
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", section, re.M)} == set(ExitCode)


# ---------------------------------------------------------------- links and words

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, made as GitHub does."""
    heads = re.findall(r"^#+ (.+)$", prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{link}: there is no {path}"
        if anchor:
            assert anchor in anchors(there), f"{link}: there is no such heading"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_have_content_and_no_words_of_the_workshop(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert len(text.split()) > 60
    for word in FORBIDDEN:
        assert word not in text


def test_every_area_of_the_log_is_on_its_page() -> None:
    sources = [file.read_text() for file in (ROOT / "sipx").rglob("*.py")]
    areas = {m for text in sources for m in re.findall(r'getLogger\("(sipx\.[a-z]+)"\)', text)}
    assert len(areas) > 5
    page = (DOCS / "logging.md").read_text()
    missing = {area for area in areas if f"`{area}`" not in page}
    assert not missing


def test_every_page_is_linked_from_the_index() -> None:
    index = prose(DOCS / "index.md")
    for page in DOCS.glob("*.md"):
        assert page.name == "index.md" or f"({page.name})" in index, page.name


def test_a_plugin_table_is_a_config() -> None:
    for name in SHIPPED:
        [first, *_] = plugin_models(name).values()
        assert issubclass(first, Config)

"""Pages of the documentation as HTML that may stand in the console: no script, style or frame."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Any, Final

import trio
from pydantic import BaseModel, ConfigDict

from sipx import Caller, ControlError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from markdown_it.token import Token

    from sipx import ControlApi

SHOW: Final = "help.show"
"""The method that has the text."""
_COMMENT: Final = re.compile(r"^<!--.*?-->[ \t]*\n", re.MULTILINE)
"""What tools read; it is for nobody who reads the page."""
_SLUG: Final = re.compile(r"[^\w\- ]")


class HelpParams(BaseModel):
    """Which page."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    topic: str
    """Its name, such as "nat"; `help.topics` lists them."""


class Heading(BaseModel):
    """A heading of a page."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    level: int
    text: str
    anchor: str
    """The id of its element."""


class HelpPage(BaseModel):
    """A page as HTML."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    topic: str
    title: str
    html: str
    toc: tuple[Heading, ...]


class HelpMethods:
    """``monitor.help``."""

    def __init__(self, control: ControlApi) -> None:
        self._control = control

    async def help(self, params: HelpParams, caller: Caller) -> HelpPage:
        """A page of the documentation as HTML, with its headings."""
        if SHOW not in self._control.methods():
            raise ControlError("not found", "this sipx has no documentation with it")
        shown = await self._control.call(SHOW, {"topic": params.topic}, caller)
        found: dict[str, Any] = shown.model_dump()
        return await trio.to_thread.run_sync(rendered, params.topic, found["markdown"])


def rendered(topic: str, markdown: str) -> HelpPage:
    """Markdown as HTML. HTML in it is shown, not taken over."""
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    tokens = reader.parse(_COMMENT.sub("", markdown))
    toc = tuple(_headings(tokens))
    for token in tokens:
        _without_style(token)
        for child in token.children or ():
            _lead(topic, child)
    html: str = reader.renderer.render(tokens, reader.options, {})
    title = next((heading.text for heading in toc if heading.level == 1), topic)
    return HelpPage(topic=topic, title=title, html=html, toc=toc)


def _headings(tokens: list[Token]) -> Iterable[Heading]:
    """All headings; each gets an id as GitHub gives it, so that links of the pages lead there."""
    used: dict[str, int] = {}
    for opening, inline in itertools.pairwise(tokens):
        if opening.type != "heading_open":
            continue
        text = "".join(child.content for child in inline.children or ())
        anchor = _SLUG.sub("", text.strip().lower()).replace(" ", "-")
        count = used[anchor] = used.get(anchor, -1) + 1
        if count:
            anchor = f"{anchor}-{count}"
        opening.attrSet("id", f"help-{anchor}")
        yield Heading(level=int(opening.tag[1]), text=text, anchor=f"help-{anchor}")


def _without_style(token: Token) -> None:
    """Columns are aligned by classes: the policy of the console forbids styles."""
    style = token.attrGet("style")
    if style is not None:
        del token.attrs["style"]
        token.attrSet("class", f"align-{str(style).rpartition(':')[2]}")


def _lead(topic: str, token: Token) -> None:
    """A link to another page stays in the console; one to elsewhere opens beside it."""
    if token.type == "image":
        # Pictures are not in the control API; what they say is in their text.
        token.type, token.tag, token.content = "text", "", token.content or "picture"
        return
    if token.type != "link_open":
        return
    page, _, anchor = str(token.attrGet("href") or "").partition("#")
    if page.startswith(("https://", "http://")):
        token.attrSet("target", "_blank")
        token.attrSet("rel", "noopener noreferrer")
    elif not page or page.endswith(".md"):
        name = page.rpartition("/")[2].removesuffix(".md") or topic
        token.attrSet("href", f"#/help?topic={name}" + (f"&at=help-{anchor}" if anchor else ""))
    else:
        token.attrSet("href", "#/help")

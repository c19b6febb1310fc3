"""The documentation over the control API: ``help.*``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio
from pydantic import BaseModel, ConfigDict, Field

from sipx import manual
from sipx.config.errors import did_you_mean
from sipx.control.errors import ControlError

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_TOPIC = 100


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class HelpTopic(_Frozen):
    """A page of the documentation."""

    topic: str
    title: str
    summary: str
    """Its first paragraph."""


class HelpTopics(_Frozen):
    """All pages, the index first."""

    topics: tuple[HelpTopic, ...]


class HelpParams(_Frozen):
    """Which page."""

    topic: str = Field("index", max_length=LONGEST_TOPIC)


class HelpPage(_Frozen):
    """A page."""

    topic: str
    title: str
    markdown: str


class HelpSearch(_Frozen):
    """What is looked for."""

    text: str = Field(max_length=manual.LONGEST_QUERY)
    """Words that all stand in one line, in any case."""


class HelpHit(_Frozen):
    """A line that was found."""

    topic: str
    title: str
    heading: str
    text: str


class HelpHits(_Frozen):
    """What was found, at most 50 lines."""

    hits: tuple[HelpHit, ...]


class HelpMethods:
    """The methods; they ask the disk, in a thread."""

    def methods(self) -> dict[str, Callable[..., object]]:
        """By name, for the Api."""
        return {"help.topics": self.topics, "help.show": self.show, "help.search": self.search}

    async def topics(self) -> HelpTopics:
        """The pages of the documentation."""
        found = await trio.to_thread.run_sync(manual.pages)
        return HelpTopics(
            topics=tuple(
                HelpTopic(topic=one.topic, title=one.title, summary=one.summary) for one in found
            )
        )

    async def show(self, params: HelpParams) -> HelpPage:
        """A page of the documentation, as Markdown."""
        found = await trio.to_thread.run_sync(manual.pages)
        page = next((one for one in found if one.topic == params.topic), None)
        if page is None:
            meant = did_you_mean(params.topic, [one.topic for one in found])
            remedy = meant or "help.topics lists them"
            raise ControlError("not found", f"there is no page {params.topic!r}; {remedy}")
        text = await trio.to_thread.run_sync(manual.text_of, page.topic)
        return HelpPage(topic=page.topic, title=page.title, markdown=text)

    async def search(self, params: HelpSearch) -> HelpHits:
        """Lines of the documentation that have all words."""
        found = await trio.to_thread.run_sync(manual.search, params.text)
        return HelpHits(
            hits=tuple(
                HelpHit(topic=one.topic, title=one.title, heading=one.heading, text=one.text)
                for one in found
            )
        )

"""The documentation over the control API."""

from __future__ import annotations

import pytest

from sipx.control.api import Api
from sipx.control.errors import ControlError
from sipx.control.help import HelpHits, HelpMethods, HelpPage, HelpTopics
from sipx.control.methods import Caller

ME = Caller("eve", role="viewer")


def ask(name, **params):
    return Api(HelpMethods().methods()).call(name, params, ME)


async def test_pages_are_listed_and_shown():
    found = await ask("help.topics")
    assert isinstance(found, HelpTopics)
    page = await ask("help.show", topic=found.topics[1].topic)
    assert isinstance(page, HelpPage)
    assert page.title == found.topics[1].title
    assert page.markdown.startswith(f"# {page.title}")


async def test_the_index_is_shown_without_a_topic():
    assert (await ask("help.show")).topic == "index"


@pytest.mark.parametrize(
    ("topic", "said"),
    [
        ("natt", "there is no page 'natt'; did you mean 'nat'?"),
        ("../../etc/passwd", "there is no page '../../etc/passwd'; help.topics lists them"),
    ],
)
async def test_an_unknown_page_is_told(topic, said):
    with pytest.raises(ControlError) as refused:
        await ask("help.show", topic=topic)
    assert refused.value.kind == "not found"
    assert str(refused.value) == said


async def test_lines_are_found():
    found = await ask("help.search", text="STUN servers")
    assert isinstance(found, HelpHits)
    assert found.hits
    with pytest.raises(ControlError):
        await ask("help.search", text="x" * 101)

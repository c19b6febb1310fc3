"""What a function has to say of itself to be a method, and what it is told when it does not."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from pydantic import BaseModel

from sipx.control.errors import ControlError
from sipx.control.methods import Caller, Done, Method, changing
from sipx.errors import PluginError

from .conftest import Event, Limit, Said, Word, method

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ME = Caller("ada", 1000, 7)


def plain() -> Done:
    """Do nothing.

    Really nothing.
    """
    return Done()


def echo(params: Word) -> Said:
    """Say it again."""
    return Said(said=params.word)


async def counted(params: Limit, caller: Caller) -> AsyncIterator[Event]:
    """Count."""
    for number in range(params.limit):
        yield Event(number=number, text=caller.user)


@changing
def change(caller: Caller) -> Said:
    """Change it."""
    return Said(said=caller.user)


def test_a_function_says_all_that_is_to_be_known():
    found = method(plain)
    assert (found.params, found.result, found.stream, found.changing) == (None, Done, False, False)
    assert found.help == "Do nothing.\n\nReally nothing."
    assert method(echo).params is Word
    assert method(change).changing
    stream = method(counted)
    assert (stream.params, stream.result, stream.stream) == (Limit, Event, True)


class Holder:
    @changing
    def bound(self, params: Word, caller: Caller) -> Said:
        return Said(said=params.word, user=caller.user)


async def test_a_bound_method_is_called_with_its_parameters_and_the_caller():
    found = method(Holder().bound)
    assert found.changing
    assert await found.call({"word": "a"}, ME) == Said(said="a", user="ada")
    assert await found.call(Word(word="b"), ME) == Said(said="b", user="ada")


async def test_a_stream_gives_its_events():
    events = method(counted).events({"limit": 2}, ME)
    assert [event async for event in events] == [
        Event(number=0, text="ada"),
        Event(number=1, text="ada"),
    ]


def no_annotation():
    """Say nothing of the result."""


def bare_parameter(params) -> Done:
    return Done()


def wrong_parameter(params: int) -> Done:
    return Done()


def wrong_result() -> dict[str, int]:
    return {}


def absent(params: Nowhere) -> Done:  # noqa: F821  # that is the mistake
    return Done()


def several(one: Word, two: Word) -> Done:
    return Done()


async def no_iterator() -> Event:
    yield Event(number=1)


async def bare_iterator() -> AsyncIterator:
    yield Event(number=1)


async def of_numbers() -> AsyncIterator[int]:
    yield 1


class Callable:
    def __call__(self) -> Done:
        return Done()


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (no_annotation, "its result has no annotation; annotate it with a pydantic model"),
        (bare_parameter, "params has no annotation"),
        (wrong_parameter, "params is annotated int; allowed: a pydantic model"),
        (wrong_result, r"its result is annotated dict\[str, int\]; allowed"),
        (absent, "params is annotated Nowhere, which is not there .* import it at run time"),
        (several, "takes one, two; one pydantic model for all parameters"),
        (no_iterator, r"annotated Event; write AsyncIterator\[EventModel\]"),
        (bare_iterator, r"AsyncIterator; write AsyncIterator\[EventModel\]"),
        (of_numbers, "its result is annotated int"),
        (Callable(), "is no function; give a function"),
        (partial(plain), "is no function"),
        (5, "5 is no function"),
        (print, "takes args, sep"),
        (dict.update, "does not say what it takes"),
    ],
)
def test_what_is_not_right_is_told_with_plugin_and_name(function, said):
    with pytest.raises(PluginError, match=said) as caught:
        method(function)
    assert str(caught.value).startswith("plugin 'lab': control method 'lab.do': ")


@pytest.mark.parametrize("name", ["", "do", "Lab.do", "lab.", ".do", "lab do", "lab.dö", 5, None])
def test_a_plugins_name_is_area_and_verb(name):
    with pytest.raises(PluginError, match=r"of the form area\.verb"):
        method(plain, name)


@pytest.mark.parametrize("name", ["routes.list", "static-routes.list_all", "a.b.c"])
def test_these_are_names(name):
    assert method(plain, name).name == name


def test_the_kernels_own_names_may_have_one_part():
    assert Method.of("status", plain).name == "status"


class Strict(BaseModel):
    name: str
    size: int = 1


def strict(params: Strict) -> Done:
    return Done(text=f"{params.name} {params.size}")


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"name": "a"}, "a 1"),
        ({"name": "a", "size": 2}, "a 2"),
        (["a"], "a 1"),
        (["a", 3], "a 3"),
    ],
)
async def test_parameters_come_by_name_or_by_position(params, said):
    assert await method(strict).call(params, ME) == Done(text=said)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        (None, "name: Field required"),
        ({}, "name: Field required"),
        (["a", 1, 2], "lab.do takes 2 parameters: name, size"),
        ({"name": 1, "size": "x"}, "name: .*; size: "),
        (7, "parameters of lab.do"),
    ],
)
async def test_parameters_that_do_not_fit_are_told(params, said):
    with pytest.raises(ControlError, match=said) as caught:
        await method(strict).call(params, ME)
    assert caught.value.kind == "params"


async def test_the_value_of_a_parameter_is_not_repeated():
    with pytest.raises(ControlError) as caught:
        await method(strict).call({"name": ["hush"]}, ME)
    assert "hush" not in str(caught.value)
    assert all("hush" not in problem.text for problem in caught.value.problems)


@pytest.mark.parametrize(("params", "good"), [(None, True), ({}, True), ([], True), ([1], False)])
async def test_a_method_without_parameters_takes_none(params, good):
    if good:
        assert await method(plain).call(params, ME) == Done()
    else:
        with pytest.raises(ControlError, match="takes no parameters"):
            await method(plain).call(params, ME)

"""A method of the control API: a typed function, pydantic in and out.

``def name(params: ParamsModel) -> ResultModel``, sync or async; it may take no parameters, and it
may take ``caller: Caller`` behind them. A *stream* is an async generator function with
``AsyncIterator[EventModel]`` as its result. The docstring is the help.
"""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, get_args, overload

from pydantic import BaseModel, ConfigDict, ValidationError

from sipx.config.errors import did_you_mean
from sipx.control.errors import ControlError, ErrorProblem, params_error
from sipx.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Callable

    F = TypeVar("F", bound="Callable[..., object]")

_STREAMS: Final = (AsyncIterator, AsyncGenerator, AsyncIterable)
_KNOWN: Final = {each.__name__: each for each in _STREAMS}
"""Names that may stand in annotations even if they were imported for types only."""
_CHANGING: Final = "sipx_changing"
LONGEST_NAME: Final = 100
"""Characters of an unknown name that are looked at and shown."""

CallerRole = Literal["viewer", "operator", "admin"]
"""What somebody may do: look; run what is set up; change the configuration as well."""
_RANKS: Final = get_args(CallerRole)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls a method. ``uid`` and ``pid`` are those of a process on this machine, if it is
    one. ``role`` is what the caller may do; a method may also show less to a viewer.
    """

    user: str
    uid: int | None = None
    pid: int | None = None
    role: CallerRole = "admin"

    def may(self, role: CallerRole) -> bool:
        """Whether the caller may do what asks for ``role``."""
        return _RANKS.index(self.role) >= _RANKS.index(role)

    def __str__(self) -> str:
        return self.user if self.pid is None else f"{self.user} (uid {self.uid}, pid {self.pid})"


class Done(BaseModel):
    """The result of a method that has nothing to show but that it is done."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    text: str = ""
    """What was done, in words."""


@overload
def changing(function: F, /) -> F: ...


@overload
def changing(role: CallerRole, /) -> Callable[[F], F]: ...


def changing(given: F | CallerRole, /) -> F | Callable[[F], F]:
    """Mark a method that changes something, or sends something to others: who calls it is
    written into the log.

    An admin may call it; ``@changing("operator")`` marks one that an operator may call as well.
    """
    if not isinstance(given, str):
        setattr(given, _CHANGING, "admin")
        return given
    role = given

    def mark(function: F) -> F:
        setattr(function, _CHANGING, role)
        return function

    return mark


@dataclass(frozen=True, slots=True)
class Method:
    """One method. ``params`` is None where it takes none; ``result`` is of a stream the event.

    ``role`` is what its caller has to be at least. ``owner`` is the plugin that brings it, "" for
    the kernel's own.
    """

    name: str
    help: str
    params: type[BaseModel] | None
    result: type[BaseModel]
    stream: bool
    changing: bool
    function: Callable[..., Any]
    takes_caller: bool
    owner: str = ""
    role: CallerRole = "viewer"

    @classmethod
    def of(cls, name: str, function: Callable[..., object], owner: str = "") -> Method:
        """Read a function. Raises PluginError that says what its annotations lack."""
        if not _is_name(name) or (owner and "." not in name):
            raise _wrong(
                owner, name, "its name is not of the form area.verb", "such as routes.list"
            )
        if not inspect.isroutine(function):
            raise _wrong(owner, name, f"{function!r} is no function", "give a function or a method")
        try:
            parameters = list(inspect.signature(function).parameters.values())
        except ValueError:
            raise _wrong(
                owner, name, f"{function!r} does not say what it takes", "write a function"
            ) from None
        takes_caller = bool(parameters) and parameters[-1].name == "caller"
        if takes_caller:
            parameters.pop()
        if len(parameters) > 1:
            raise _wrong(
                owner,
                name,
                f"takes {', '.join(p.name for p in parameters)}",
                "one pydantic model for all parameters, then caller: Caller",
            )
        params = None
        if parameters:
            params = _model(owner, name, parameters[0].name, _annotation(function, parameters[0]))
        said = _annotation(function, None)
        stream = inspect.isasyncgenfunction(function)
        if stream:
            if typing.get_origin(said) not in _STREAMS:
                raise _wrong(
                    owner,
                    name,
                    f"is an async generator, and its result is annotated {_shown(said)}",
                    "write AsyncIterator[EventModel]",
                )
            said = typing.get_args(said)[0]
        return cls(
            name=name,
            help=inspect.getdoc(function) or "",
            params=params,
            result=_model(owner, name, "its result", said),
            stream=stream,
            changing=hasattr(function, _CHANGING),
            function=function,
            takes_caller=takes_caller,
            owner=owner,
            role=getattr(function, _CHANGING, "viewer"),
        )

    def arguments(self, params: object, caller: Caller) -> tuple[object, ...]:
        """What the function is called with. Raises ControlError for parameters that do not fit.

        ``params`` is what JSON-RPC allows: an object by name, an array by position, or None.
        """
        last = (caller,) if self.takes_caller else ()
        if self.params is None:
            if params not in (None, {}, []):
                raise ControlError("params", f"{self.name} takes no parameters")
            return last
        if isinstance(params, self.params):
            return (params, *last)
        if isinstance(params, list):
            names = list(self.params.model_fields)
            if len(params) > len(names):
                text = f"{self.name} takes {len(names)} parameters: {', '.join(names)}"
                raise ControlError("params", text)
            params = dict(zip(names, params, strict=False))
        self._all_known(params)
        try:
            return (self.params.model_validate({} if params is None else params), *last)
        except ValidationError as error:
            raise params_error(self.name, error) from None

    def _all_known(self, params: object) -> None:
        """A misspelt parameter must not pass as one that was left out: a stop *now* is another."""
        assert self.params is not None
        if not isinstance(params, dict) or self.params.model_config.get("extra") == "allow":
            return
        fields = self.params.model_fields
        known = {*fields, *(field.alias for field in fields.values() if field.alias)}
        for name in params:
            if name not in known:
                shown = str(name)[:LONGEST_NAME]
                meant = did_you_mean(shown, known) or f"it takes {', '.join(sorted(known))}"
                problem = ErrorProblem(text=f"{shown}: there is no such parameter", key=shown)
                text = f"{self.name} has no parameter {shown!r}; {meant}"
                raise ControlError("params", text, (problem,))

    async def call(self, params: object, caller: Caller) -> BaseModel:
        """The result. Raises ControlError for the parameters, and what the function raises."""
        answer = self.function(*self.arguments(params, caller))
        if inspect.isawaitable(answer):
            answer = await answer
        return self.checked(answer)

    def events(self, params: object, caller: Caller) -> AsyncGenerator[BaseModel, None]:
        """The events of a stream, from the function itself: compare them with ``checked``."""
        found: AsyncGenerator[BaseModel, None] = self.function(*self.arguments(params, caller))
        return found

    def checked(self, answer: object) -> BaseModel:
        """An answer that is what the annotation promises. Raises TypeError."""
        if not isinstance(answer, self.result):
            raise TypeError(f"{self.name} gave {answer!r} in place of a {self.result.__name__}")
        return answer


def _is_name(name: object) -> bool:
    return isinstance(name, str) and all(
        part.isascii() and part[:1].islower() and part.replace("-", "").replace("_", "").isalnum()
        for part in name.split(".")
    )


def _annotation(function: Callable[..., object], parameter: inspect.Parameter | None) -> object:
    """The annotation of a parameter, or of the result, as an object; as it is written where it
    cannot be found.
    """
    given = (
        inspect.signature(function).return_annotation if parameter is None else parameter.annotation
    )
    if given is inspect.Signature.empty:
        return None
    if not isinstance(given, str):
        return given
    inner: Any = inspect.unwrap(getattr(function, "__func__", function))
    names = {**_KNOWN, **getattr(sys.modules.get(inner.__module__), "__dict__", {})}
    try:
        return eval(given, names)  # noqa: S307  # an annotation of loaded code, as typing reads it
    except (NameError, AttributeError, TypeError, SyntaxError):
        return given


def _model(owner: str, name: str, what: str, said: object) -> type[BaseModel]:
    if isinstance(said, type) and issubclass(said, BaseModel):
        return said
    if said is None:
        raise _wrong(owner, name, f"{what} has no annotation", "annotate it with a pydantic model")
    if isinstance(said, str):
        raise _wrong(
            owner,
            name,
            f"{what} is annotated {said}, which is not there when the program runs",
            "import it at run time, not under TYPE_CHECKING, at the top of the module",
        )
    raise _wrong(owner, name, f"{what} is annotated {_shown(said)}", "allowed: a pydantic model")


def _shown(said: object) -> str:
    return said.__name__ if isinstance(said, type) else str(said)


def _wrong(owner: str, name: object, wrong: str, remedy: str) -> PluginError:
    whose = f"plugin '{owner}': " if owner else ""
    return PluginError(f"{whose}control method {name!r}: {wrong}; {remedy}")

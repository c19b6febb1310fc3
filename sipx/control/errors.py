"""What a method can answer instead of a result: the codes of JSON-RPC, and what is in their data.

JSON-RPC 2.0 §5.1 reserves -32768 to -32000; -32000 to -32099 are "server errors" of our own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from sipx.config.errors import ConfigError
from sipx.errors import PluginError, ReloadError, SipxError, StartError

if TYPE_CHECKING:
    from sipx.config.errors import Problem

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603

FAILED: Final = -32000
CONFIGURATION: Final = -32001
NOT_FOUND: Final = -32002
NOT_NOW: Final = -32003
BUSY: Final = -32004
FORBIDDEN: Final = -32005

CODES: Final = {
    "parse": PARSE_ERROR,
    "request": INVALID_REQUEST,
    "method": METHOD_NOT_FOUND,
    "params": INVALID_PARAMS,
    "internal": INTERNAL_ERROR,
    "failed": FAILED,
    "plugin": FAILED,
    "start": FAILED,
    "reload": FAILED,
    "configuration": CONFIGURATION,
    "not found": NOT_FOUND,
    "not now": NOT_NOW,
    "busy": BUSY,
    "forbidden": FORBIDDEN,
}
"""The code of each kind of error."""


class ErrorProblem(BaseModel):
    """One thing that is wrong, and where: in a file, or in the parameters (then without file)."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    text: str
    """In one line, with file and line where there are any."""
    file: str = ""
    line: int | None = None
    column: int | None = None
    key: str = ""
    """Dotted; of the file, or of the parameters."""


class ErrorData(BaseModel):
    """The ``data`` of an error."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    kind: str
    """Which kind of error; its code follows from it."""
    text: str
    """What went wrong, in words for people; may have several lines."""
    problems: tuple[ErrorProblem, ...] = ()


class ErrorObject(BaseModel):
    """JSON-RPC 2.0 §5.1."""

    model_config = ConfigDict(frozen=True)

    code: int
    message: str
    data: ErrorData | None = None


class ControlError(SipxError):
    """A method has no result, and says why. ``kind`` is one of ``CODES``."""

    def __init__(self, kind: str, text: str, problems: tuple[ErrorProblem, ...] = ()) -> None:
        # Half a surrogate pair, which JSON can hold, is nothing that could be written again.
        text = text.encode("utf-8", "backslashreplace").decode()
        super().__init__(text)
        self.kind = kind
        self.text = text
        self.problems = problems

    @property
    def code(self) -> int:
        """The code of JSON-RPC."""
        return CODES.get(self.kind, FAILED)

    def as_object(self) -> ErrorObject:
        """What goes over the wire."""
        data = ErrorData(kind=self.kind, text=self.text, problems=self.problems)
        return ErrorObject(code=self.code, message=self.text.partition("\n")[0], data=data)


def control_error(error: SipxError) -> ControlError:
    """What an operator can act on, as an answer."""
    if isinstance(error, ControlError):
        return error
    problems = tuple(problem_of(one) for one in getattr(error, "problems", ()))
    if isinstance(error, ConfigError):
        kind = "configuration"
    elif isinstance(error, PluginError):
        kind = "plugin"
    elif isinstance(error, StartError):
        kind = "start"
    elif isinstance(error, ReloadError):
        kind = "reload"
    else:
        kind = "failed"
    return ControlError(kind, str(error), problems)


def problem_of(found: Problem) -> ErrorProblem:
    """A mistake in a configuration, as it goes over the wire."""
    return ErrorProblem(
        text=str(found), file=found.file, line=found.line, column=found.column, key=found.key
    )


def params_error(method: str, error: ValidationError) -> ControlError:
    """Parameters that do not fit, each in words."""
    problems = tuple(
        ErrorProblem(text=f"{key}: {said}" if key else said, key=key)
        for key, said in (
            (".".join(map(str, one["loc"])), one["msg"])
            for one in error.errors(include_url=False, include_context=False, include_input=False)
        )
    )
    told = "; ".join(problem.text for problem in problems)
    return ControlError("params", f"parameters of {method}: {told}", problems)

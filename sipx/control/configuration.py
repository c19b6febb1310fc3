"""The configuration over the control API: what counts, what it was, and changing it.

Every change goes through the same document and the same file as those of the command line. A
change that the running proxy cannot take up is taken back. No secret leaves: where one is written
out, ``**********`` stands in its place, and put back it means the secret that is there.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import trio
from pydantic import BaseModel, ConfigDict, Field

from sipx.config.difference import changed_keys, difference
from sipx.config.document import Document
from sipx.config.effective import settings_of
from sipx.config.errors import ConfigError
from sipx.config.file import ConfigFile, ConflictError
from sipx.config.hiding import hidden_text, restore_hidden, secrets_in
from sipx.config.history import Version
from sipx.config.load import check
from sipx.config.notation import dotted, parse_path
from sipx.control.errors import ControlError, ErrorProblem, problem_of
from sipx.control.methods import Caller, changing
from sipx.errors import SipxError
from sipx.reload import Plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipx.kernel import Kernel

log = logging.getLogger("sipx.control")
T = TypeVar("T")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class ShowParams(_Frozen):
    """Which settings."""

    key: str = ""
    """Only this key, or those of this table."""
    defaults: bool = False
    """Also what is not in the file."""


class ShownSetting(_Frozen):
    """One setting."""

    key: str
    """As TOML writes it: ``static-routes.route."partner.example".port``."""
    value: Any
    """None when it is not set, and stands for nothing then."""
    line: int | None
    """Where the file says it, None for a default."""
    help: str


class ShownSettings(_Frozen):
    """All settings of the file."""

    file: str
    etag: str
    settings: tuple[ShownSetting, ...]


class ConfigurationText(_Frozen):
    """The file as it may be shown. ``etag`` changes with the file."""

    file: str
    etag: str
    text: str


class CheckParams(_Frozen):
    """What is checked."""

    text: str
    """A whole file."""


class Checked(_Frozen):
    """What is wrong with a text, and what is different from the file."""

    valid: bool
    problems: tuple[ErrorProblem, ...]
    diff: tuple[str, ...]


class Edit(_Frozen):
    """One edit of the file."""

    op: Literal["set", "unset", "add_table", "remove_table", "text"]
    key: str = ""
    """As TOML writes it; not for ``text``."""
    value: Any = None
    """What is set; the keys of a new table; the text of the whole file."""
    comment: str = ""
    """What stands above a new table."""


class ChangeParams(_Frozen):
    """A change: all of its edits, or none."""

    edits: tuple[Edit, ...] = Field(min_length=1)
    etag: str = ""
    """What the file was when this was thought out: if it is another now, nothing is changed."""
    dry_run: bool = False
    """Only what would be changed."""
    why: str = ""
    """For the history, without secrets; without it the keys are named."""


class UndoParams(_Frozen):
    """Which version."""

    number: int | None = None
    """None: the one before the last change."""
    dry_run: bool = False
    """Only what would be changed."""


class Changed(_Frozen):
    """What a change did, or would do."""

    diff: tuple[str, ...]
    plan: Plan
    """What it means for the running proxy."""
    etag: str
    """Of the file now."""
    version: int | None
    """Its number in the history; None where nothing was written."""


class Versions(_Frozen):
    """The versions that are kept, the oldest first; the last one is what the file is now."""

    versions: tuple[Version, ...]


class RunningConfiguration(_Frozen):
    """What the running proxy uses."""

    file: str
    etag: str
    text: str
    other: tuple[str, ...]
    """Keys that are not the same in the file now."""
    other_secrets: tuple[str, ...]
    """Those of them that are secrets."""


class Configuration:
    """The methods. ``kernel`` is the one whose file it is."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def methods(self) -> dict[str, Callable[..., object]]:
        """By name, for the Api."""
        return {
            "config.show": self.show,
            "config.text": self.text,
            "config.check": self.check,
            "config.change": self.change,
            "config.history": self.history,
            "config.undo": self.undo,
            "config.running": self.running,
        }

    async def show(self, params: ShowParams) -> ShownSettings:
        """The settings of the file, each with where it comes from."""
        return await _aside(self._show, params)

    def _show(self, params: ShowParams) -> ShownSettings:
        document = self._file("").read()
        above = _path(params.key) if params.key else ()
        return ShownSettings(
            file=str(document.path.absolute()),
            etag=document.etag,
            settings=tuple(
                ShownSetting(
                    key=dotted(one.path), value=_json(one.value), line=one.line, help=one.help
                )
                for one in settings_of(document, self._kernel.registry)
                if one.path[: len(above)] == above and (params.defaults or one.line is not None)
            ),
        )

    async def text(self) -> ConfigurationText:
        """The file, without its secrets."""
        return await _aside(self._text)

    def _text(self) -> ConfigurationText:
        document = self._file("").read()
        return ConfigurationText(
            file=str(document.path.absolute()), etag=document.etag, text=self._hidden(document)
        )

    async def check(self, params: CheckParams) -> Checked:
        """What is wrong with a text, were it the file."""
        return await _aside(self._check, params)

    def _check(self, params: CheckParams) -> Checked:
        file = self._file("")
        before = file.read()
        document = file.read()
        try:
            self._retype(document, params.text)
            file.check(document)
        except ConfigError as error:
            return Checked(valid=False, problems=tuple(map(problem_of, error.problems)), diff=())
        return Checked(valid=True, problems=(), diff=self._diff(before, document))

    @changing
    async def change(self, params: ChangeParams, caller: Caller) -> Changed:
        """Change the file and take it up, or neither."""
        file = self._file(caller.user)
        before, document = await _aside(self._edited, file, params)
        why = params.why or "; ".join(_said(edit) for edit in params.edits)
        return await self._commit(file, before, document, why, dry_run=params.dry_run)

    def _edited(self, file: ConfigFile, params: ChangeParams) -> tuple[Document, Document]:
        """The file as it is, and as it is to be."""
        before, document = file.read(), file.read()
        if params.etag and params.etag != document.etag:
            raise ControlError(
                "not now", f"{file.path} has been changed meanwhile; look at it again"
            )
        for edit in params.edits:
            self._apply(document, edit)
        return before, document

    @changing
    async def undo(self, params: UndoParams, caller: Caller) -> Changed:
        """Go back to a version of the file, and take it up."""
        file = self._file(caller.user)
        try:
            back = await _aside(file.undo, params.number)
        except LookupError as error:
            raise ControlError("not found", str(error.args[0])) from error
        return await self._commit(
            file,
            await _aside(file.read),
            back.document,
            back.said,
            dry_run=params.dry_run,
            restored=back.restored,
        )

    async def history(self) -> Versions:
        """The last versions of the file: when, by whom, and what was changed."""
        return Versions(versions=tuple(await _aside(self._file("").history)))

    async def running(self) -> RunningConfiguration:
        """The configuration that is in use, and what is another in the file."""
        return await _aside(self._in_use)

    def _in_use(self) -> RunningConfiguration:
        document = self._kernel.settings.document
        secrets = secrets_in(document.values(), self._kernel.registry)
        try:
            now = self._file("").read()
        except ConfigError:
            now = document
        other = changed_keys(document.values(), now.values())
        hidden = {dotted(path) for path in secrets}
        return RunningConfiguration(
            file=str(document.path.resolve()),
            etag=document.etag,
            text=hidden_text(document, secrets),
            other=tuple(other),
            other_secrets=tuple(key for key in other if any(one.startswith(key) for one in hidden)),
        )

    # ------------------------------------------------------------ inside

    def _file(self, author: str) -> ConfigFile:
        kernel = self._kernel
        path = kernel.settings.path
        return ConfigFile(path, kernel.state_directory, kernel.registry, author, now=kernel.wall)

    def _hidden(self, document: Document) -> str:
        return hidden_text(document, secrets_in(document.values(), self._kernel.registry))

    def _diff(self, before: Document, after: Document) -> tuple[str, ...]:
        names = (str(before.path), f"{before.path} (new)")
        return tuple(difference(before, after, self._kernel.registry, names))

    def _retype(self, document: Document, text: str) -> None:
        """A whole text, with the secrets that stand in the file where they are hidden."""
        old = secrets_in(document.values(), self._kernel.registry)
        known = {path: document.get(path) for path in old}
        document.retype(text)
        restore_hidden(document, known)

    def _apply(self, document: Document, edit: Edit) -> None:
        if edit.op == "text":
            if not isinstance(edit.value, str):
                raise ControlError("params", "the value of the edit `text` is a text")
            self._retype(document, edit.value)
            return
        path = _path(edit.key)
        try:
            if edit.op == "set":
                document.set(path, edit.value)
            elif edit.op == "unset":
                document.unset(path)
            elif edit.op == "remove_table":
                document.remove_table(path)
            elif isinstance(edit.value, dict):
                document.add_table(path, edit.value, edit.comment)
            else:
                raise ControlError("params", "the value of the edit `add_table` is a table")
        except KeyError as error:
            raise ControlError("not found", str(error.args[0])) from error

    async def _commit(
        self,
        file: ConfigFile,
        before: Document,
        document: Document,
        why: str,
        *,
        dry_run: bool,
        restored: int | None = None,
    ) -> Changed:
        diff = await _aside(self._diff, before, document)
        settings = await trio.to_thread.run_sync(check, document, self._kernel.registry)
        plan = await self._kernel.plan(settings)
        if dry_run or document.encoded() == before.encoded():
            return Changed(diff=diff, plan=plan, etag=before.etag, version=None)
        try:
            version = await trio.to_thread.run_sync(_write, file, document, why, restored)
        except ConflictError as error:
            raise ControlError("not now", str(error)) from error
        except OSError as error:
            text = f"{file.path} cannot be written, and is as it was: {error.strerror}"
            raise ControlError("failed", text) from error
        try:
            plan = await self._kernel.reload()
        except BaseException:  # also where the client went away: neither or both
            with trio.CancelScope(shield=True):
                await self._take_back(file, document, before, version, why)
            raise
        return Changed(diff=diff, plan=plan, etag=version.etag, version=version.number or None)

    async def _take_back(
        self, file: ConfigFile, document: Document, before: Document, version: Version, why: str
    ) -> None:
        """What cannot be taken back is told; why it should be is the error of the caller."""
        try:
            await trio.to_thread.run_sync(_take_back, file, document, before, version, why)
        except (SipxError, OSError) as error:
            log.error(
                "%s holds a change that is not in use, and could not be put back: %s",
                file.path,
                error,
            )


async def _aside(fn: Callable[..., T], *args: Any) -> T:
    """In a thread: to read and compare a large file takes as long as many messages."""
    return await trio.to_thread.run_sync(fn, *args, abandon_on_cancel=True)


def _write(file: ConfigFile, document: Document, why: str, restored: int | None) -> Version:
    return file.write(document, why, restored=restored)


def _take_back(
    file: ConfigFile, document: Document, before: Document, version: Version, why: str
) -> None:
    """The file as it was."""
    old = Document.replacing(document.encoded(), file.path)
    old.replace(before.encoded())
    restored = version.number - 1 if version.number > 1 else None
    file.write(old, f"taken back: {why}", restored=restored)


def _path(key: str) -> Any:
    try:
        return parse_path(key)
    except ValueError as error:
        raise ControlError("params", str(error)) from error


def _said(edit: Edit) -> str:
    """An edit for the history: the key, and never a value, which may be a secret."""
    words = {"set": "set", "unset": "unset", "add_table": "added", "remove_table": "removed"}
    return "another text" if edit.op == "text" else f"{words[edit.op]} {edit.key}"


def _json(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)

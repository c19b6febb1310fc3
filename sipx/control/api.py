"""All methods of the control API: found by name, called, described."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

import trio
from pydantic import BaseModel, ConfigDict, JsonValue
from pydantic.json_schema import models_json_schema

from sipx.config.errors import did_you_mean
from sipx.control.errors import ControlError, ErrorData, control_error
from sipx.control.methods import LONGEST_NAME, CallerRole, Done, Method
from sipx.errors import PluginError, SipxError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence

    from sipx.control.methods import Caller

log = logging.getLogger("sipx.control")

PROTOCOL: Final = 1
"""The version of what goes over the socket; another one is not spoken to."""
UNSUBSCRIBE: Final = "control.unsubscribe"


class MethodSummary(BaseModel):
    """One method, as the list shows it."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    name: str
    help: str
    """The first line of its help."""
    stream: bool
    """Whether it answers with a subscription, and then sends events."""
    changing: bool
    """Whether it changes something."""
    role: CallerRole = "viewer"
    """What its caller has to be at least."""
    plugin: str
    """The plugin that brings it, "" for sipx itself."""


class MethodList(BaseModel):
    """All methods."""

    model_config = ConfigDict(frozen=True)

    methods: tuple[MethodSummary, ...]


class VersionResult(BaseModel):
    """Who answers."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    protocol: int
    """The version of the control protocol."""
    sipx: str
    """The version of sipx."""


class SchemaResult(BaseModel):
    """All methods with the JSON schemas of their models."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    document: dict[str, JsonValue]
    """An OpenRPC document (https://spec.open-rpc.org)."""


class Subscription(BaseModel):
    """Which stream is meant."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    subscription: int
    """The number that the stream was answered with, on the same connection."""


class Api:
    """The methods of one proxy. ``more`` gives those that come and go with plugins.

    ``fault`` is told when a method raises what it must not: plugin, method, exception.
    """

    def __init__(
        self,
        methods: Mapping[str, Callable[..., object]] | None = None,
        *,
        more: Callable[[], Iterable[Method]] | None = None,
        fault: Callable[[str, str, Exception], None] | None = None,
    ) -> None:
        self._own: dict[str, Method] = {}
        self._more = more
        self._fault = fault or _logged
        self.add(
            {
                "control.methods": self._list,
                "control.schema": self._schema,
                "control.version": self._version,
                UNSUBSCRIBE: self._unsubscribe,
            }
        )
        self.add(methods or {})

    def add(self, methods: Mapping[str, Callable[..., object]]) -> None:
        """More methods of the kernel's own. Raises PluginError for one that is there already."""
        for name, function in methods.items():
            if name in self._own:
                raise PluginError(f"control method {name!r} is there twice")
            self._own[name] = Method.of(name, function)

    def methods(self) -> dict[str, Method]:
        """All of them by name, sorted. Raises PluginError for one of a plugin that is not right."""
        found = dict(self._own)
        for method in self._more() if self._more is not None else ():
            if method.name in found:
                whose = found[method.name].owner or "sipx itself"
                raise PluginError(
                    f"plugin '{method.owner}': control method {method.name!r} is there already: "
                    f"{whose} brings it; give it another name"
                )
            found[method.name] = method
        return dict(sorted(found.items()))

    def named(self, name: str) -> Method:
        """One of them. Raises ControlError, with the one that was probably meant."""
        found = self._own.get(name)
        if found is not None:
            return found
        try:
            methods = self.methods()
        except PluginError as error:
            raise control_error(error) from error
        found = methods.get(name)
        if found is None:
            # Looking for what was meant takes time with the length of the name.
            shown = name[:LONGEST_NAME]
            meant = did_you_mean(shown, methods)
            raise ControlError(
                "method",
                f"there is no method {shown!r}; {meant or '`sipx control methods` lists them'}",
            )
        return found

    async def call(self, name: str, params: object, caller: Caller) -> BaseModel:
        """The result of a method. Raises ControlError and nothing else."""
        method = self.named(name)
        if method.stream:
            raise ControlError("request", f"{name} is a stream; subscribe to it")
        self._admit(method, params, caller)
        try:
            return await method.call(params, caller)
        except SipxError as error:
            raise control_error(error) from error
        except Exception as error:
            raise self._failed(method, error) from error

    def events(self, name: str, params: object, caller: Caller) -> AsyncGenerator[BaseModel, None]:
        """The events of a stream. Raises ControlError, now for parameters, and while it runs."""
        method = self.named(name)
        if not method.stream:
            raise ControlError("request", f"{name} is no stream; call it")
        self._admit(method, params, caller)
        return self._events(method, method.events(params, caller))

    async def _events(
        self, method: Method, events: AsyncGenerator[BaseModel, None]
    ) -> AsyncGenerator[BaseModel, None]:
        try:
            async for event in events:
                yield method.checked(event)
        except SipxError as error:
            raise control_error(error) from error
        except Exception as error:
            raise self._failed(method, error) from error
        finally:
            await events.aclose()

    def _admit(self, method: Method, params: object, caller: Caller) -> None:
        if not caller.may(method.role):
            raise ControlError(
                "forbidden",
                f"{method.name} is for the role {method.role}, and {caller.user} is {caller.role}",
            )
        if method.changing:
            # A form asks what a change would do whenever somebody types.
            dry = isinstance(params, dict) and params.get("dry_run") is True
            log.log(logging.DEBUG if dry else logging.INFO, "%s called %s", caller, method.name)

    def _failed(self, method: Method, error: Exception) -> ControlError:
        """A bug of ours or of a plugin costs this answer."""
        self._fault(method.owner, method.name, error)
        whose = f" of the plugin {method.owner}" if method.owner else ""
        return ControlError("internal", f"{method.name}{whose} failed; the log has the traceback")

    # ------------------------------------------------------------ its own methods

    def _list(self) -> MethodList:
        """All methods there are."""
        return MethodList(
            methods=tuple(
                MethodSummary(
                    name=method.name,
                    help=method.help.partition("\n")[0],
                    stream=method.stream,
                    changing=method.changing,
                    role=method.role,
                    plugin=method.owner,
                )
                for method in self.methods().values()
            )
        )

    async def _schema(self) -> SchemaResult:
        """All methods with the JSON schemas of what goes in and comes out."""
        methods = tuple(self.methods().values())
        # In a thread: it takes as long as many messages.
        return SchemaResult(document=await trio.to_thread.run_sync(_document, methods))

    def _version(self) -> VersionResult:
        """Who answers, and which protocol is spoken."""
        from sipx.status import own_version

        return VersionResult(protocol=PROTOCOL, sipx=own_version())

    def _unsubscribe(self, params: Subscription) -> Done:
        """End a stream of this connection; no event of it comes after the answer."""
        raise ControlError("request", "only a connection has subscriptions")

    # ------------------------------------------------------------ its description

    def schema(self) -> dict[str, Any]:
        """All methods with the JSON schema of what goes in and comes out, as OpenRPC 1.3 writes
        it (https://spec.open-rpc.org). ``x-event`` is what a stream sends.
        """
        return _document(tuple(self.methods().values()))


def _document(methods: Sequence[Method]) -> dict[str, Any]:
    from sipx.status import own_version

    models: list[tuple[type[BaseModel], Any]] = [(ErrorData, "serialization")]
    for method in methods:
        models.append((method.result, "serialization"))
        if method.params is not None:
            models.append((method.params, "validation"))
    refs, definitions = models_json_schema(
        list(dict.fromkeys(models)), ref_template="#/components/schemas/{model}"
    )
    schemas = definitions.get("$defs", {})
    return {
        "openrpc": "1.3.2",
        "info": {"title": "sipx control API", "version": own_version()},
        "methods": [_described(method, refs, schemas) for method in methods],
        "components": {"schemas": schemas},
    }


def _described(
    method: Method, refs: Mapping[Any, Any], schemas: Mapping[str, Any]
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": method.name,
        "summary": method.help.partition("\n")[0],
        "description": method.help,
        "paramStructure": "either",
        "params": [],
        "x-role": method.role,
    }
    if method.params is not None:
        model = found["x-params"] = refs[method.params, "validation"]
        found["params"] = _parameters(schemas[model["$ref"].rpartition("/")[2]])
    result = refs[method.result, "serialization"]
    if method.stream:
        subscription = {"type": "object", "properties": {"subscription": {"type": "integer"}}}
        found["result"] = {"name": "subscription", "schema": subscription}
        found["x-event"] = result
    else:
        found["result"] = {"name": method.result.__name__, "schema": result}
    if method.changing:
        found["x-changing"] = True
    if method.owner:
        found["x-plugin"] = method.owner
    return found


def _parameters(schema: Mapping[str, Any]) -> list[dict[str, Any]]:
    required = schema.get("required", ())
    return [
        {"name": name, "required": name in required, "schema": inner}
        for name, inner in schema.get("properties", {}).items()
    ]


def _logged(plugin: str, method: str, error: Exception) -> None:
    log.error("control method %s failed", method, exc_info=error)

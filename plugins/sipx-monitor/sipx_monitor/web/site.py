"""Which request is answered by what."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio

from sipx import PluginError
from sipx_monitor.web import guard
from sipx_monitor.web.api import HttpApi, json_body
from sipx_monitor.web.files import CONSOLE, Files
from sipx_monitor.web.messages import Refused, Response, json_response
from sipx_monitor.web.openapi import document

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sipx import ConsolePanel, Proxy
    from sipx_monitor.config import MonitorConfig
    from sipx_monitor.web.access import Access, Who
    from sipx_monitor.web.feeds import Feeds
    from sipx_monitor.web.http import HttpConnection
    from sipx_monitor.web.long_answers import LongAnswers
    from sipx_monitor.web.messages import Request

LOGIN_BODY = 8192


class Site:
    """The pages, files and methods of one configuration."""

    def __init__(
        self,
        config: MonitorConfig,
        proxy: Proxy,
        access: Access,
        feeds: Feeds,
        long: LongAnswers,
    ) -> None:
        self._config = config
        self._proxy = proxy
        self._access = access
        self._guard = guard.Guard(config)
        self._files = Files()
        self._api = HttpApi(proxy.control, feeds, access, long)

    def admit(self, request: Request) -> bool:
        """Whether it came from a trusted proxy. Raises Refused for one that is not for us."""
        from_proxy = self._guard.from_proxy(request.address)
        self._guard.see_through(request)
        self._guard.admit(request)
        root = self._config.root_path
        if root and (request.path == root or request.path.startswith(root + "/")):
            if request.path == root and request.method in guard.SAFE:
                raise Refused(308, "the console is behind the slash", location=root + "/")
            request.path = request.path[len(root) :] or "/"
        return from_proxy

    async def respond(self, request: Request, connection: HttpConnection) -> Response:
        """The answer to a request. Raises Refused."""
        from_proxy = self.admit(request)
        path = request.path
        if path == "/livez":
            return Response(200, b"ok\n")
        if path == "/session":
            return await self._session(request, connection, from_proxy=from_proxy)
        if path.startswith("/api/"):
            asks = partial(self._access.who, request, from_proxy=from_proxy)
            if path == "/api/openapi.json":
                asks()
                return await self._description(request)
            return await self._api.respond(request, connection, asks, path.removeprefix("/api/"))
        if request.method not in guard.SAFE:
            raise Refused(405, "use GET", allow="GET, HEAD")
        # A name with ./ and ../ in it was not made by us: browsers resolve it before they ask.
        if path == "/":
            return await self._index(request)
        if path == "/favicon.ico":
            return await self._files.respond(request, CONSOLE, "icon.svg", [])
        if path.startswith("/console/"):
            return await self._files.respond(request, CONSOLE, path.removeprefix("/console/"), [])
        if path.startswith("/plugins/"):
            return await self._panel_file(request, path.removeprefix("/plugins/"))
        raise Refused(404, f"there is nothing at {path[:200]}")

    # ------------------------------------------------------------ files

    async def _index(self, request: Request) -> Response:
        asset = await self._files.asset(CONSOLE, "index.html")
        headers = [("Content-Security-Policy", guard.policy(asset.plain))]
        return await self._files.respond(request, CONSOLE, "index.html", headers)

    async def _panel_file(self, request: Request, name: str) -> Response:
        plugin, _, file = name.partition("/")
        for panel in self._panels().get(plugin, ()):
            folder = _folder(panel.package)
            if folder is not None and file.endswith((".js", ".css", ".svg", ".png", ".json")):
                return await self._files.respond(request, folder, file, [])
        raise Refused(404, f"the plugin {plugin[:100]} has no such file for the console")

    def _panels(self) -> dict[str, tuple[ConsolePanel, ...]]:
        try:
            return dict(self._proxy.console_panels())
        except PluginError as error:
            self._proxy.log.error("panels of the console: %s", error)
            return {}

    # ------------------------------------------------------------ sessions

    async def _session(
        self, request: Request, connection: HttpConnection, *, from_proxy: bool
    ) -> Response:
        if request.method in guard.SAFE:
            try:
                who = self._access.who(request, from_proxy=from_proxy)
            except Refused as refused:
                if refused.status != 401:
                    raise
                response = json_response({"error": refused.object(), **self._look()}, 401)
                response.headers += refused.headers
                return response
            return json_response(self._shown(who))
        if request.method == "DELETE":
            self._access.log_off(request.cookie(self._access.cookie))
            return Response(204, headers=[self._cookie(request, "", 0)])
        if request.method != "POST":
            raise Refused(405, "use GET, POST or DELETE", allow="GET, POST, DELETE")
        given = await json_body(request, connection, LOGIN_BODY)
        try:
            token = await self._access.log_on(request, given)
        except Refused as refused:
            if refused.status in (401, 429, 503):
                self._proxy.log.warning(
                    "console: an attempt to log on from %s has failed: %s",
                    request.address,
                    refused.text,
                )
            raise
        session = self._access.sessions.find(token)
        assert session is not None
        self._proxy.log.info(
            "console: %s (%s) has logged on from %s", session.user, session.role, request.address
        )
        response = json_response(self._shown_user(session.user, session.role))
        response.headers.append(self._cookie(request, token))
        return response

    def _cookie(self, request: Request, value: str, age: int | None = None) -> tuple[str, str]:
        parts = [
            f"{self._access.cookie}={value}",
            f"Path={self._config.root_path or '/'}",
            "HttpOnly",
            "SameSite=Strict",
        ]
        if request.tls:
            parts.append("Secure")
        if age is not None:
            parts.append(f"Max-Age={age}")
        return "Set-Cookie", "; ".join(parts)

    def _look(self) -> dict[str, Any]:
        return {
            "auth": self._config.auth,
            "language": self._config.language,
            "theme": self._config.theme,
        }

    def _shown(self, who: Who) -> dict[str, Any]:
        return self._shown_user(who.user, who.role)

    def _shown_user(self, user: str, role: str) -> dict[str, Any]:
        return {
            "user": user,
            "role": role,
            **self._look(),
            "version": self._proxy.status().service.version,
            "hints": list(_hints(self._config)),
            "panels": [
                {
                    "plugin": plugin,
                    "module": f"plugins/{plugin}/{panel.module}",
                    "styles": [f"plugins/{plugin}/{style}" for style in panel.styles],
                }
                for plugin, panels in self._panels().items()
                for panel in panels
            ],
        }

    # ------------------------------------------------------------ description

    async def _description(self, request: Request) -> Response:
        if request.method not in guard.SAFE:
            raise Refused(405, "use GET", allow="GET, HEAD")
        schema = await trio.to_thread.run_sync(self._proxy.control.schema)
        return json_response(document(schema, self._config.root_path))


def _hints(config: MonitorConfig) -> Iterable[str]:
    if config.auth == "none":
        yield "everybody on this machine is admin: monitor.auth is none"


def _folder(package: str) -> Path | None:
    found = find_spec(package)
    places = None if found is None else found.submodule_search_locations
    return Path(next(iter(places))) if places else None

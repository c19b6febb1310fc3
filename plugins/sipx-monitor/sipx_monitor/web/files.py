"""The files of the console and of panels: read once, with an ETag, compressed where that helps."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

import trio

from sipx_monitor.web.messages import Refused, Response

if TYPE_CHECKING:
    from sipx_monitor.web.messages import Request

CONSOLE: Final = Path(__file__).resolve().parent.parent / "console"
TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
    ".md": "text/plain; charset=utf-8",
    ".toml": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
}
"""What is served at all, and as what."""
LARGEST: Final = 4 << 20
MOST: Final = 1000
"""Files that are kept in memory."""
_PACKED: Final = (".html", ".js", ".mjs", ".css", ".json", ".svg", ".txt", ".md", ".toml")


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it was read."""

    stamp: tuple[int, int, int]
    content_type: str
    etag: str
    plain: bytes
    packed: bytes | None


class Files:
    """Files by folder and name. Disk and compression wait in a thread."""

    def __init__(self) -> None:
        self._known: dict[Path, Asset] = {}

    async def asset(self, folder: Path, name: str) -> Asset:
        """A file of a folder or below it. Raises Refused where there is none."""
        path = _inside(folder, name)
        found = await trio.to_thread.run_sync(self._fresh, folder, path)
        if found is None:
            raise Refused(404, f"there is no file {name[:200]}")
        if len(self._known) >= MOST:
            self._known.clear()
        self._known[path] = found
        return found

    async def respond(
        self, request: Request, folder: Path, name: str, headers: list[tuple[str, str]]
    ) -> Response:
        """A file as an answer: 304 where the client has it already."""
        asset = await self.asset(folder, name)
        packed = asset.packed is not None and _takes_gzip(request.header("accept-encoding"))
        etag = f'"{asset.etag}-gz"' if packed else f'"{asset.etag}"'
        headers = [
            *headers,
            ("ETag", etag),
            ("Cache-Control", "no-cache"),
            ("Vary", "Accept-Encoding"),
        ]
        if etag in [one.strip().removeprefix("W/") for one in _etags(request)]:
            return Response(304, b"", asset.content_type, headers)
        if packed:
            assert asset.packed is not None
            headers.append(("Content-Encoding", "gzip"))
            return Response(200, asset.packed, asset.content_type, headers)
        return Response(200, asset.plain, asset.content_type, headers)

    def _fresh(self, folder: Path, path: Path) -> Asset | None:
        try:
            if not path.resolve().is_relative_to(folder.resolve()):
                return None  # a link that leads out
            stat = path.stat()
            stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            known = self._known.get(path)
            if known is not None and known.stamp == stamp:
                return known
            if stat.st_size > LARGEST or not path.is_file():
                return None
            data = path.read_bytes()
        except OSError:
            return None
        packed = gzip.compress(data, 6, mtime=0) if path.suffix in _PACKED else None
        if packed is not None and len(packed) > 0.9 * len(data):
            packed = None
        etag = hashlib.sha256(data).hexdigest()[:24]
        return Asset(stamp, TYPES[path.suffix], etag, data, packed)


def _inside(folder: Path, name: str) -> Path:
    parts = PurePosixPath(name).parts
    if (
        not parts
        or "\0" in name
        or "\\" in name
        or len(name) > 300
        or any(part.startswith((".", "/")) or part == "__pycache__" for part in parts)
        or PurePosixPath(name).suffix not in TYPES
    ):
        raise Refused(404, f"there is no file {name[:200]}")
    return folder.joinpath(*parts)


def _etags(request: Request) -> list[str]:
    return request.header("if-none-match").split(",")


def _takes_gzip(accepted: str) -> bool:
    for part in accepted.lower().split(","):
        name, _, weight = part.partition(";")
        if name.strip() in ("gzip", "x-gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False

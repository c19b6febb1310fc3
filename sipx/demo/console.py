"""The web console on the traffic of the show, where the plugin for it is installed.

It is one of the plugins of the proxy at home, as in any configuration file; all that is asked of
it goes through the control API.
"""

from __future__ import annotations

import os
import sys
import webbrowser
from typing import TYPE_CHECKING, Final

import trio

from sipx.control.errors import ControlError
from sipx.control.methods import Caller

if TYPE_CHECKING:
    from typing import TextIO

    from sipx.kernel import Kernel
    from sipx.registry import Registry

PLUGIN: Final = "monitor"
LINK: Final = "console.url"
"""The control method that makes a link which lets its reader in once."""
_DISPLAYS: Final = ("DISPLAY", "WAYLAND_DISPLAY")


def is_installed(registry: Registry) -> bool:
    """Whether the proxy at home can have a console."""
    return any(info.name == PLUGIN for info in registry.installed())


def has_display(stream: TextIO) -> bool:
    """Whether somebody sits before a screen that a browser can be opened on."""
    if not stream.isatty() or os.environ.get("CI"):
        return False
    return sys.platform in ("darwin", "win32") or any(map(os.environ.get, _DISPLAYS))


async def link_to(kernel: Kernel) -> tuple[str, str]:
    """The link to the console of a running proxy, and why there is none."""
    caller = Caller("sipx demo", os.getuid(), os.getpid())
    try:
        found = await kernel.api.call(LINK, None, caller)
    except ControlError as error:
        return "", error.text
    return str(found.model_dump()["url"]), ""


async def open_browser(url: str) -> bool:
    """Open it; False where no browser was found. It may take its time to start."""
    return await trio.to_thread.run_sync(webbrowser.open, url, abandon_on_cancel=True)

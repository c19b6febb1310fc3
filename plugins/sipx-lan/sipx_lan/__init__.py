"""UC servers and users log on."""

from sipx_lan.config import LanConfig, ServerConfig
from sipx_lan.events import BanEnded, LoggedOff, LoggedOn, LogonRefused, SourceBanned
from sipx_lan.plugin import Lan

__all__ = [
    "BanEnded",
    "Lan",
    "LanConfig",
    "LoggedOff",
    "LoggedOn",
    "LogonRefused",
    "ServerConfig",
    "SourceBanned",
]

"""The live monitor and the web console of sipx."""

from sipx_monitor.config import MonitorConfig
from sipx_monitor.plugin import Monitor

__all__ = ["Monitor", "MonitorConfig"]

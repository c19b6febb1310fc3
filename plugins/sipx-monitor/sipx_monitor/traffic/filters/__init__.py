"""The filter language: one parser for the browser, the websocket, the terminal and files."""

from sipx_monitor.traffic.filters.errors import FilterError
from sipx_monitor.traffic.filters.matching import compile_filter

__all__ = ["FilterError", "compile_filter"]

"""The traffic of the proxy, recorded above TLS: messages, dialogs, ladders, filters, captures."""

from sipx_monitor.traffic.filters import FilterError
from sipx_monitor.traffic.message import Message
from sipx_monitor.traffic.traffic import Traffic

__all__ = ["FilterError", "Message", "Traffic"]

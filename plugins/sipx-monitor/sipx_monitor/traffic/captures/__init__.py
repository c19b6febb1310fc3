"""Captures that others wrote, or sipx itself: pcapng, pcap, JSON lines."""

from sipx_monitor.traffic.captures.errors import CaptureError
from sipx_monitor.traffic.captures.reading import Capture, CaptureReader, read_capture

__all__ = ["Capture", "CaptureError", "CaptureReader", "read_capture"]

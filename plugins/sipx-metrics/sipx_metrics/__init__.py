"""Metrics and health checks over HTTP."""

from sipx_metrics.plugin import Metrics, MetricsConfig

__all__ = ["Metrics", "MetricsConfig"]

"""``sipx metrics``: what Prometheus would read, without a scrape."""

from __future__ import annotations

from typing import Any

import click

from sipx import CommandLine, live_options
from sipx_metrics.plugin import MetricsText


@click.command()
@live_options
@click.pass_obj
def metrics(line: CommandLine) -> None:
    """Print the metrics of the running proxy, as Prometheus reads them."""
    with line.control() as client, line.needs("metrics"):
        found = client.call("metrics.text", None, MetricsText)
    line.result(_families(found.text) if line.json else None, found.text.rstrip("\n"))


def _families(text: str) -> list[dict[str, Any]]:
    """The same as data."""
    from prometheus_client.parser import text_string_to_metric_families

    return [
        {
            "name": family.name,
            "type": family.type,
            "help": family.documentation,
            "samples": [
                {"name": sample.name, "labels": sample.labels, "value": sample.value}
                for sample in family.samples
            ],
        }
        for family in text_string_to_metric_families(text)
    ]

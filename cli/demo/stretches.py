"""How long each part of a Gpr's life took, by the server's own record. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from cli.client.answers import Event, Gpr
from cli.phrases import elapsed

STAGES = {
    "granted": "queued",
    "activated": "provisioning",
    "releasing": "active",
    "rested": "releasing",
}
"""The event that ends each stretch of a Gpr's life."""


def stretches(gpr: Gpr, events: Iterable[Event]) -> str:
    """`queued 0.1 s, provisioning 0.4 s, active 15.0 s, releasing 1.2 s`."""
    told, since = [], gpr.submitted_at
    for event in events:
        stage = STAGES.get(event.kind)
        if stage:
            told.append(f"{stage} {elapsed((event.at - since) / timedelta(seconds=1))}")
            since = event.at
    return ", ".join(told)

"""What the API stands on, handed in once: the ledger, the courier, the clusters' token issuers, and the clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from clusters.access import IssuedKubeconfig
from domain.workspace import Tenancy
from ledger.connection import Ledger


class Courier(Protocol):
    """Takes what was written into the outbox to Temporal."""

    def deliver_soon(self, ids: Sequence[int]) -> None:
        """Deliver these messages without making the caller wait."""

    async def ping(self) -> None:
        """Return if Temporal serves, else raise Unavailable."""


class KubeconfigIssuer(Protocol):
    """Asks a cluster for a workspace's credentials."""

    async def issue(
        self, cluster: str, tenancy: Tenancy, anchor: str | None, expires_in_seconds: int
    ) -> IssuedKubeconfig:
        """A kubeconfig; raises ClusterUnavailable when the cluster does not answer in time."""


def utc_now() -> datetime:
    """The time now."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Backends:
    """Everything behind the API."""

    ledger: Ledger
    courier: Courier
    kubeconfigs: KubeconfigIssuer
    clock: Callable[[], datetime] = utc_now
    ready_seconds: float = 15.0
    """How long a request waits for a workspace that is durable already to be made."""
    planning: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while this process makes a plan: it is work for the processor, and must not become all that it does."""

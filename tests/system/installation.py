"""One whole installation of the test's own: `berth up` on free ports, all of it gone afterwards, `kill -9` of the test too."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from cli.client import BerthClient
from cli.stack import toolchain
from cli.stack.folders import REPOSITORY, make_enterable, temporary
from cli.stack.guard import clear
from cli.stack.ports import free_anywhere
from cli.stack.stack import Stack
from clusters.connection import ClusterConnection
from tests.system.egs import Egs
from tests.system.kubectl import Kubectl
from tests.system.operators_window import OperatorsWindow
from tests.system.outside import outside
from tests.system.tables import Tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NAME = "system"
COMMAND_SECONDS_MAX = 300.0
NO_CLUSTERS: Final[Mapping[str, Path]] = MappingProxyType({})


class Installation:
    """What a test needs of a running stack: its doors for users, and its three truths for whoever checks."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack = stack
        self.folder = folder
        self.url = stack.urls()["API"]
        self.key = stack.administrator_key() or ""
        self.tables = Tables(stack.environment()["DATABASE_URL"])
        self.egs = Egs(self.url, self.key)
        self.native = BerthClient(self.url, self.key)
        self.window = OperatorsWindow(stack.urls()["Temporal UI"])
        self._clusters: dict[str, ClusterConnection] = {}

    def cluster(self, name: str) -> ClusterConnection:
        """A cluster, as its administrator."""
        if name not in self._clusters:
            self._clusters[name] = ClusterConnection.from_kubeconfig(name, self.stack.kubeconfig(name))
        return self._clusters[name]

    def clusters(self) -> list[ClusterConnection]:
        """Every cluster, as its administrator."""
        return [self.cluster(name) for name in self.stack.clusters()]

    def audit_logs(self, cluster: str) -> list[Path]:
        """Every write to a cluster, one JSON object a line; more than one file after a long time."""
        return sorted(self.stack.roster.log(cluster).parent.glob(f"{cluster}.audit*.log"))

    def kubectl(self, kubeconfig: str) -> Kubectl:
        """The stack's kubectl, as whoever the kubeconfig stands for."""
        return Kubectl(self.stack.kubectl(), kubeconfig, self.folder)

    def keep_logs(self) -> Path:
        """A copy of every part's log, for when the stack itself is gone."""
        kept = Path(tempfile.mkdtemp(prefix="berth-system-logs-"))
        return Path(shutil.copytree(self.stack.folder / "log", kept, dirs_exist_ok=True))

    def close(self) -> None:
        """Let all connections go."""
        for close in (self.egs.close, self.native.close, self.window.close):
            close()
        for cluster in self._clusters.values():
            cluster.close()


@contextmanager
def running_installation(kubeconfigs: Mapping[str, Path] = NO_CLUSTERS) -> Iterator[Installation]:
    """Up with the command that people use, and down and forgotten with it, too. By default with clusters of its own."""
    with outside(), _running(kubeconfigs) as installation:
        yield installation


@contextmanager
def _running(kubeconfigs: Mapping[str, Path]) -> Iterator[Installation]:
    toolchain.binaries()
    home = make_enterable(temporary() / "state")
    stack = Stack(NAME, home / NAME)
    guard = _guard(stack.folder)
    try:
        _choose_ports(stack)
        attached = [word for name, path in kubeconfigs.items() for word in ("--kubeconfig", f"{name}={path}")]
        _berth(home, "up", "--no-demo", *attached)
        installation = Installation(Stack(NAME, stack.folder), home.parent)
        try:
            yield installation
        except BaseException as error:
            error.add_note(f"the logs of all parts are kept in {installation.keep_logs()}")
            raise
        finally:
            installation.close()
        _berth(home, "down", "--purge", "--yes")
    finally:
        clear(stack.folder)
        shutil.rmtree(home.parent, ignore_errors=True)
        guard.communicate()


def _guard(folder: Path) -> subprocess.Popen[bytes]:
    """Cleans up when this process is gone, however it went."""
    return subprocess.Popen(
        [sys.executable, "-m", "cli.stack.guard", str(folder)],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        start_new_session=True,
    )


def _choose_ports(stack: Stack) -> None:
    """Ports that nobody would look for, so that a stack beside this one keeps the well-known ones."""
    make_enterable(stack.folder)
    assembly = stack._assembly
    purposes = [purpose for group in assembly.own_groups for purpose in assembly.purposes(group)]
    stack._settings.ports = dict(zip(purposes, free_anywhere(len(purposes)), strict=True))
    stack._settings.save()


def _berth(home: Path, *words: str) -> None:
    environment = {**os.environ, "BERTH_STATE_DIR": str(home)}
    answer = subprocess.run(
        [sys.executable, "-m", "cli.main", *words, "--name", NAME],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=COMMAND_SECONDS_MAX,
    )
    assert answer.returncode == 0, f"berth {words[0]} ended with {answer.returncode}\n{answer.stdout}{answer.stderr}"

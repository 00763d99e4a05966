"""The local stack as one thing: up, down, what runs, where it answers.

Decides the order and what runs at once; `assembly` knows the parts, each part knows how it is run.
"""

from __future__ import annotations

import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cli.stack import folders, locks, parts, settings, toolchain
from cli.stack.assembly import BERTH, Assembly
from cli.stack.attachments import Attachments
from cli.stack.events import Event, Moment, one_at_a_time, silence
from cli.stack.failures import StackError
from cli.stack.postgres import NAME as POSTGRES
from cli.stack.roster import Roster
from cli.stack.temporal import NAME as TEMPORAL

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

    from cli.stack.events import Report
    from cli.stack.parts import PartStatus

DEFAULT = "default"
KEY_FILE = "administrator.key"
LOCK_FILE = "lock"


class Stack:
    """One named stack of this user; nothing runs until `up`, and what runs outlives this object."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.roster = Roster(folder)
        self._settings = settings.load(folder)

    @classmethod
    def open(cls, name: str = DEFAULT) -> Stack:
        """The stack of this name, made or not."""
        return cls(name, folders.state_root() / settings.require_name(name))

    @property
    def exists(self) -> bool:
        """Whether it was ever started."""
        return settings.exists(self.folder)

    def up(
        self, report: Report = silence, attach: Attachments | None = None, only: Collection[str] | None = None
    ) -> None:
        """Start what does not run and wait until it is ready; `only` names fewer groups than all.

        What cannot be started raises `StackError`; what was started by then stays up, and a second call goes on.
        """
        report = one_at_a_time(report)
        folders.make_enterable(self.folder)
        with self._alone(report):
            self._attach(attach or Attachments(), report)
            self._settings.ensure_secrets_key()
            groups = [group for group in self._assembly.own_groups if only is None or group in only]
            self._claim_ports(groups, report)
            self._start_stores_and_clusters(groups, report)
            if BERTH in groups:
                _together(lambda name: self._start_own(name, report), self._assembly.processes(BERTH))

    def down(self, report: Report = silence, *, purge: bool = False) -> None:
        """Stop all that was started here; with `purge` forget its data too. What is attached is left alone."""
        if not self.folder.exists():
            return
        report = one_at_a_time(report)
        with self._alone(report):
            # Berth's processes first: they finish what they have begun while the rest still answers
            for groups in ([BERTH], [POSTGRES, TEMPORAL, *self._own_clusters()]):
                _together(lambda group: self._stop_group(group, report), groups)
            if purge:
                shutil.rmtree(self.folder)
                self._settings = settings.load(self.folder)

    def parts(self) -> list[PartStatus]:
        """Every part, running or not, in the order of starting; empty where no stack was made."""
        if not self.exists:
            return []
        assembly = self._assembly
        names = [name for group in assembly.own_groups for name in assembly.processes(group)]
        attached = [parts.attached(part, place) for part, place in assembly.attached.items()]
        return [*attached, *(parts.status(self.roster, name, assembly) for name in names)]

    def urls(self) -> dict[str, str]:
        """Where people go: the API, its documentation, the Temporal UI."""
        return self._assembly.urls

    def environment(self) -> dict[str, str]:
        """What Berth's processes are told; enough to run one by hand beside them."""
        return self._assembly.environment

    def administrator_key(self) -> str | None:
        """The first administrator's key; None where this stack did not make it."""
        try:
            return (self.folder / KEY_FILE).read_text()
        except FileNotFoundError:
            return None

    def clusters(self) -> list[str]:
        """Names of the clusters that Berth works with, own or attached."""
        return self._assembly.clusters

    def kubeconfig(self, cluster: str) -> Path:
        """The administrator's kubeconfig of a cluster."""
        if cluster not in self.clusters():
            raise StackError(f"no cluster {cluster}", mend=f"one of {', '.join(self.clusters())}")
        return self._assembly.kubeconfig(cluster)

    def kubectl(self) -> Path:
        """The kubectl that was built with the clusters; Berth puts nothing on the PATH."""
        return toolchain.place() / "kubectl"

    def kill(self, part: str) -> None:
        """SIGKILL one process, as a crash would."""
        self._require(part)
        self.roster.kill(part)

    def stop(self, part: str) -> None:
        """Stop one process; `start` or `up` brings it back."""
        self._require(part)
        if part == POSTGRES:
            self._assembly.postgres.stop()
        else:
            self.roster.stop(part)

    def start(self, part: str) -> None:
        """Start one process and wait until it is ready."""
        self._require(part)
        assembly = self._assembly
        cluster, _, component = part.partition(".")
        if component:
            assembly.cluster(cluster).start_component(component)
        elif part == POSTGRES:
            assembly.postgres.start()
        elif part == TEMPORAL:
            assembly.temporal.start()
        else:
            self.roster.start(assembly.berth.program(part))

    @property
    def _assembly(self) -> Assembly:
        return Assembly(self._settings, self.roster)

    def _attach(self, given: Attachments, report: Report) -> None:
        """Use what the user has; a part of ours that it replaces is stopped."""
        self._settings.attached = given.or_else(self._settings.attached)
        self._settings.attached.check()
        for part, place in self._assembly.attached.items():
            report(Event(part, Moment.ATTACHED, parts.attached(part, place).address))
        unneeded = {POSTGRES, TEMPORAL, *self._own_clusters()} - set(self._assembly.own_groups)
        _together(lambda group: self._stop_group(group, report), sorted(unneeded))

    def _claim_ports(self, groups: Sequence[str], report: Report) -> None:
        """What runs keeps its ports; what does not may have lost one to somebody else meanwhile, or is new."""
        wanted = [
            purpose
            for group in groups
            for purpose in self._assembly.purposes(group)
            if purpose not in self._settings.ports or not self._runs(group)
        ]
        for purpose in self._settings.claim(wanted):
            port = self._settings.ports[purpose]
            report(Event(purpose, Moment.NOTE, f"its port is taken by somebody else; it moved to {port}"))

    def _start_stores_and_clusters(self, groups: Sequence[str], report: Report) -> None:
        """Three chains at once; the ledger is prepared as soon as PostgreSQL is there."""
        chains = {
            "ledger": lambda: self._start_ledger(groups, report),
            "temporal": lambda: _together(lambda group: self._start_group(group, report), _only(groups, [TEMPORAL])),
            "clusters": lambda: self._start_clusters(_only(groups, self._assembly.clusters), report),
        }
        _together(lambda name: chains[name](), list(chains))

    def _start_ledger(self, groups: Sequence[str], report: Report) -> None:
        if POSTGRES in groups:
            self._start_group(POSTGRES, report)
        if BERTH in groups:
            berth = self._assembly.berth
            with _told(report, "ledger", "schema up to date"):
                berth.migrate()
            with _told(report, "installation", "has its administrator"):
                self._keep_key(berth.bootstrap())

    def _start_clusters(self, names: Sequence[str], report: Report) -> None:
        if names:
            toolchain.binaries(report)
        _together(lambda name: self._start_group(name, report), names)

    def _start_group(self, group: str, report: Report) -> None:
        assembly = self._assembly
        with _told(report, group, parts.address(group, assembly)):
            if group == POSTGRES:
                assembly.postgres.start()
            elif group == TEMPORAL:
                assembly.temporal.start()
            else:
                assembly.cluster(group).start()

    def _start_own(self, name: str, report: Report) -> None:
        assembly = self._assembly
        with _told(report, name, parts.address(name, assembly)):
            self.roster.start(assembly.berth.program(name))

    def _keep_key(self, key: str | None) -> None:
        if key is not None:
            file = self.folder / KEY_FILE
            file.touch(mode=0o600)
            file.write_text(key)

    def _stop_group(self, group: str, report: Report) -> None:
        names = [name for name in self._assembly.processes(group) if self.roster.record(name)]
        if not names:
            return
        started = time.monotonic()
        if group == BERTH:
            _together(self.roster.stop, names)
        elif group == POSTGRES:
            self._assembly.postgres.stop()
        elif group == TEMPORAL:
            self._assembly.temporal.stop()
        else:
            self._assembly.cluster(group).stop()
        report(Event(group, Moment.STOPPED, elapsed_seconds=time.monotonic() - started))

    def _runs(self, group: str) -> bool:
        return any(self.roster.is_running(name) for name in self._assembly.processes(group))

    def _own_clusters(self) -> list[str]:
        """Clusters of ours that may run, whatever is attached by now."""
        return sorted({name.partition(".")[0] for name in self.roster.names() if "." in name})

    def _require(self, part: str) -> None:
        known = [each.name for each in self.parts()]
        if part not in known:
            raise StackError(f"no part {part} in stack {self.name}", mend=f"one of {', '.join(known) or 'none yet'}")

    @contextmanager
    def _alone(self, report: Report) -> Iterator[None]:
        wait = Event(self.name, Moment.NOTE, "another command works on this stack; waiting for it")
        with locks.held(self.folder / LOCK_FILE, lambda: report(wait)):
            self._settings = settings.load(self.folder)
            yield


@contextmanager
def _told(report: Report, part: str, message: str) -> Iterator[None]:
    started = time.monotonic()
    report(Event(part, Moment.STARTING))
    try:
        yield
    except StackError as failure:
        report(Event(part, Moment.FAILED, failure.message, elapsed_seconds=time.monotonic() - started))
        raise
    report(Event(part, Moment.READY, message, elapsed_seconds=time.monotonic() - started))


def _together(action: Callable[[str], object], names: Sequence[str]) -> None:
    """All at once; every one is tried before the first failure is raised."""
    if not names:
        return
    with ThreadPoolExecutor(len(names)) as threads:
        tries = [threads.submit(action, name) for name in names]
    for each in tries:
        each.result()


def _only(groups: Sequence[str], wanted: Collection[str]) -> list[str]:
    return [group for group in groups if group in wanted]

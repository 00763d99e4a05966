"""A batch of jobs on a whole stack, while logs are followed and a deletion hangs; and how soon a pod's news is told."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any, Final, Self

from bench._asker import asked
from bench._conditions import go_first
from bench._figures import Cell, Samples, milliseconds
from bench._log_readers import Heard, open_reader
from bench._parts import ECHO, start_echo
from cli.stack.nodes import of_instance
from cli.stack.own import API
from domain.failures import BerthFailure
from tests.system.campaign import unfinished
from tests.system.fates import fate, let_fates_count
from tests.system.freedom import left_in_ledger, left_of_jobs, left_on_nodes, until
from tests.system.gpuctl import Gpuctl, a_document
from tests.system.obstacles import HOLD, let_pod_go

if TYPE_CHECKING:
    from argparse import Namespace
    from pathlib import Path

    from bench._figures import Report
    from cli.stack.roster import Roster
    from clusters.connection import ClusterConnection
    from tests.system.installation import Installation

Json = dict[str, Any]

CLUSTER: Final = "worker-1"
INSTANCE, GPUS_PER_NODE = "p5.48xlarge", 8
NAMESPACE, POOL = "bench-batch", "bench-batch"
HANGS, FLIPS = "hangs", "flips"
ASKED: Final = ("/health", "echo, no API")
RUN: Final = "8s"
PRIORITIES: Final = ("high", "medium", "low")
IDLE_SECONDS, IDLE_SECONDS_QUICK = 20.0, 6.0
LINE_SECONDS: Final = 1.0
LOOK_SECONDS: Final = 0.5
FLIP_LOOK_SECONDS: Final = 0.01
STEP_SECONDS_MAX: Final = 120.0
JOB_SECONDS_MAX: Final = 5.0
"""For each job of the batch, until all have ended; far more than any takes."""
REST_SECONDS_MAX: Final = 240.0
"""For the node of the hanging pod to come back out of its quarantine, among others."""
SETTLED: Final = timedelta(seconds=1)
"""After the answer to the submit: what is granted from then on was granted by a plan that knew all."""
NORMAL: Final = 1000
STRATEGIC: Final = "application/strategic-merge-patch+json"

LIVE: Final = "gpr where phase in ('queued', 'provisioning', 'active', 'releasing') and name like 'batch-%'"
ENDS: Final = "select phase, count(*) as number from gpr where name like 'batch-%' group by phase order by phase"
GRANTS: Final = """
    select g.name, g.priority, g.sequence, min(e.at) as granted_at
    from gpr g join event e on e.gpr_id = g.id and e.kind = 'granted'
    where g.name like 'batch-%' group by g.id
"""


@dataclass(slots=True)
class Readers:
    """Those who follow logs: each one job after the other, until it is over."""

    url: str
    key: str
    names: list[str]
    heard: Heard = field(default_factory=Heard)
    open: int = 0
    counts: list[int] = field(default_factory=list)
    """How many there were, second by second."""

    async def follow(self, number: int, readers: int) -> None:
        """Every so-manieth job, from before its first pod to its end; where there are fewer jobs than readers, several one."""
        for name in self.names[number % len(self.names) :: readers]:
            code = 0
            while code != NORMAL:
                reader = await open_reader(self.url, self.key, _log_path(name), self.heard)
                self.open += 1
                try:
                    code = await reader.ended
                finally:
                    self.open -= 1
                    reader.go()
                await asyncio.sleep(0 if code == NORMAL else LOOK_SECONDS)


async def play(report: Report, installation: Installation, roster: Roster, sizes: Namespace) -> None:
    """The batch, then the flips."""
    batch = Batch(report, installation, roster, sizes)
    await asyncio.to_thread(batch.prepare)
    await batch.run()
    await asyncio.to_thread(batch.leave)
    await asyncio.to_thread(_flip, report, installation, sizes.flips)


class Batch:
    """One batch."""

    def __init__(self, report: Report, installation: Installation, roster: Roster, sizes: Namespace) -> None:
        self._report = report
        self._installation = installation
        self._roster = roster
        self._echo = start_echo(roster)
        self._sizes = sizes
        self._gpuctl = Gpuctl(installation.url, installation.key, NAMESPACE)
        self._names = [f"batch-{number}" for number in range(sizes.batch)]
        self._held_pod = ""
        self._submitted_at = datetime.max.replace(tzinfo=UTC)

    def prepare(self) -> None:
        """The nodes, their pool, the namespace, and the deletion that hangs."""
        installation, cluster = self._installation, self._installation.cluster(CLUSTER)
        names = [f"bench-{number}" for number in range(self._sizes.gpus // GPUS_PER_NODE)]
        for name in names:
            installation.stack._assembly.cluster(CLUSTER).add_node(of_instance(name, INSTANCE))  # noqa: SLF001
        until(lambda: set(names) <= {one.name for one in installation.native.nodes()}, "the nodes", STEP_SECONDS_MAX)
        let_fates_count(cluster)
        installation.egs.create_workspace(NAMESPACE, CLUSTER)
        self._gpuctl.ask("POST", "/pools", {"name": POOL, "nodes": names})

    async def run(self) -> None:
        """Idle, then everything at once."""
        urls = (f"{self._installation.url}/health", self._echo)
        readers = Readers(self._installation.url, self._installation.key, self._names)
        if self._sizes.api_first:
            self._let_api_go_first()
        async with asked(*urls, first=self._sizes.api_first) as idle:
            await asyncio.sleep(IDLE_SECONDS_QUICK if self._sizes.quick else IDLE_SECONDS)
        await asyncio.to_thread(self._hang)
        async with asked(*urls, first=self._sizes.api_first) as busy:
            began = time.perf_counter()
            refused = await asyncio.to_thread(self._submit)
            self._submitted_at, submitting = datetime.now(UTC), time.perf_counter() - began
            await self._play(readers)
            lasting = time.perf_counter() - began
        self._tell_batch(refused, submitting, lasting, readers)
        self._tell_answers([(name, idle[url], busy[url]) for name, url in zip(ASKED, urls, strict=True)], readers)

    async def _play(self, readers: Readers) -> None:
        """Until all have ended, and all who followed them were told so."""
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._speak(readers, over))
            for number in range(self._sizes.readers):
                group.create_task(readers.follow(number, self._sizes.readers))
            await asyncio.to_thread(self._await_ends)
            over.set()

    def _let_api_go_first(self) -> None:
        for roster, name in ((self._installation.stack.roster, API), (self._roster, ECHO)):
            record = roster.record(name)
            assert record
            go_first(record.pid)

    def leave(self) -> None:
        """Let the pod go that hangs, and see what is left."""
        installation = self._installation
        let_pod_go(installation.cluster(CLUSTER), NAMESPACE, self._held_pod)
        with suppress(AssertionError):
            until(lambda: not left_in_ledger(installation), "an empty ledger", REST_SECONDS_MAX)
        left = {
            "ledger": left_in_ledger(installation),
            "cluster": [*left_of_jobs(installation), *left_on_nodes(installation)],
            "Temporal": unfinished(installation),
        }
        rows: list[list[Cell]] = [[where, len(found), "; ".join(found)[:200]] for where, found in left.items()]
        self._report.table("left of all of them", ["in", "number", "what"], rows)
        self._report.ratio("left over", sum(len(found) for found in left.values()), "none")
        self._gpuctl.ask("DELETE", f"/pools/{POOL}")

    def _hang(self) -> None:
        cluster = self._installation.cluster(CLUSTER)
        self._held_pod = _running_pod(self._gpuctl, HANGS)
        _annotate(cluster, self._held_pod, HOLD, "true")
        self._gpuctl.delete(HANGS)

    def _submit(self) -> int:
        chance = Random(7)
        documents = [self._document(name, chance.choice(PRIORITIES)) for name in self._names]
        body = {"yamlContents": [json.dumps(document) for document in documents]}
        answer = self._gpuctl.ask("POST", "/jobs/batch", body, timeout=STEP_SECONDS_MAX)
        return len(answer["failed"])

    def _document(self, name: str, priority: str) -> Json:
        sections: dict[str, Json] = {"resources": {"pool": POOL}, "environment": {"command": fate(run=RUN)}}
        return a_document("training", name, NAMESPACE, job={"priority": priority, "duration": "10m"}, **sections)

    def _await_ends(self) -> None:
        tables = self._installation.tables
        until(lambda: not tables.count(LIVE), "the end of the batch", JOB_SECONDS_MAX * self._sizes.batch)

    async def _speak(self, readers: Readers, over: asyncio.Event) -> None:
        """A simulated pod shows the file that a link names when its log is opened: some pods share one, and a moment to speak."""
        plane = self._installation.stack._assembly.cluster(CLUSTER).plane  # noqa: SLF001
        voices = [plane.folder / f"voice-{number}" / "pod.log" for number in range(self._sizes.voices)]
        for voice in voices:
            voice.parent.mkdir()
            voice.touch()
        for number in itertools.count(1):
            if over.is_set():
                return
            readers.counts.append(readers.open)
            for voice in voices:
                point(plane.folder / "pod.log", voice)
                with voice.open("a") as file:
                    file.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}000Z stdout F line {number}\n")
                await asyncio.sleep(LINE_SECONDS / len(voices))

    def _tell_batch(self, refused: int, submitting: float, lasting: float, readers: Readers) -> None:
        tables, heard = self._installation.tables, readers.heard
        ends = {row["phase"]: row["number"] for row in tables.rows(ENDS)}
        codes = ", ".join(f"{number} x {code}" for code, number in sorted(heard.endings.items()))
        rows: list[list[Cell]] = [
            ["submitted in one request", self._sizes.batch - refused, submitting],
            ["ended", sum(ends.values()), lasting],
            [f"lines told to {self._sizes.readers} readers; streams ended: {codes}", heard.frames, lasting],
        ]
        self._report.table(f"batch; ended as {ends}", ["", "number", "within s"], rows)
        overtaken = overtakings(tables.rows(GRANTS), self._submitted_at + SETTLED)
        self._report.ratio("jobs that started before a stronger one that waited", overtaken, "none")
        self._report.ratio("jobs that did not succeed", self._sizes.batch - ends.get("released", 0), "none")
        self._report.ratio("jobs a second, from submit to rest", sum(ends.values()) / lasting, "")

    def _tell_answers(self, answers: list[tuple[str, Samples, Samples]], readers: Readers) -> None:
        columns = ["ms", "idle p50", "idle p99", "meanwhile p50", "meanwhile p99", "asked"]
        rows: list[list[Cell]] = [
            [name, *(milliseconds(part) for part in (idle.p50, idle.p99, busy.p50, busy.p99)), len(busy.seconds)]
            for name, idle, busy in answers
        ]
        mean = sum(readers.counts) / len(readers.counts)
        self._report.table(f"answers meanwhile; logs followed, in the mean: {mean:.0f}", columns, rows)
        wanted = ("at most 3", "what the machine itself does")
        for (name, idle, busy), words in zip(answers, wanted, strict=True):
            self._report.ratio(f"{name} p99 meanwhile to idle", busy.p99 / idle.p99, words)


def point(link: Path, target: Path) -> None:
    """In one step, so that whoever opens it meanwhile finds one or the other."""
    new = link.with_suffix(".new")
    new.symlink_to(target)
    new.replace(link)


def overtakings(grants: list[Json], settled: datetime) -> int:
    """Of jobs of one size: how many started, once all were known, while a stronger one went on waiting."""
    later: list[tuple[int, int]] = []
    count = 0
    by_pass: dict[datetime, list[tuple[int, int]]] = {}
    for row in grants:
        by_pass.setdefault(datetime.fromisoformat(row["granted_at"]), []).append((row["priority"], -row["sequence"]))
    for at, strengths in sorted(by_pass.items(), reverse=True):
        if at > settled:
            count += sum(bool(later) and max(later) > strength for strength in strengths)
        later += strengths
    return count


# --- how soon ---------------------------------------------------------------------------------------------------------


def _flip(report: Report, installation: Installation, times: int) -> None:
    """A pod is ready, then not: until a watch of the cluster says so, and until the API does."""
    gpuctl, cluster = Gpuctl(installation.url, installation.key, NAMESPACE), installation.cluster(CLUSTER)
    pod = _running_pod(gpuctl, FLIPS)
    watch, api = Samples(), Samples()
    with _Watch(cluster, pod) as watching:
        for number in range(times):
            ready = bool(number % 2)
            began = time.perf_counter()
            _set_ready(cluster, pod, ready=ready)
            until_told(gpuctl, ready=ready)
            api.seconds.append(time.perf_counter() - began)
            watch.seconds.append(watching.heard(ready=ready) - began)
    gpuctl.delete(FLIPS, force=True)
    gpuctl.close()
    kinds = {"a bare watch": watch, "the API's list": api}
    rows: list[list[Cell]] = [[name, milliseconds(one.p50), milliseconds(one.p99)] for name, one in kinds.items()]
    report.table(f"from a pod's change until it is told, {times} times", ["ms", "p50", "p99"], rows)
    report.ratio("the API's list, p50, seconds", api.p50, "under 1")


def until_told(gpuctl: Gpuctl, *, ready: bool) -> None:
    """Ask until the list shows it."""
    give_up_at = time.monotonic() + STEP_SECONDS_MAX
    while [row["ready"] for row in gpuctl.pods(FLIPS)] != [f"{int(ready)}/1"]:
        assert time.monotonic() < give_up_at, f"the pod is not told to be ready: {ready}"
        time.sleep(FLIP_LOOK_SECONDS)


class _Watch:
    """What Kubernetes itself tells, and when."""

    def __init__(self, cluster: ClusterConnection, pod: str) -> None:
        self._cluster, self._pod = cluster, pod
        self._at: dict[bool, float] = {}
        self._changed = threading.Condition()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def heard(self, *, ready: bool) -> float:
        """When it was last told to be so."""
        with self._changed:
            self._changed.wait_for(lambda: ready in self._at, STEP_SECONDS_MAX)
            return self._at.pop(ready)

    def _run(self) -> None:
        query = {"watch": "true", "fieldSelector": f"metadata.name={self._pod}", "timeoutSeconds": "600"}
        while not self._over.is_set():
            with suppress(BerthFailure):
                for event in self._cluster.lines(f"/api/v1/namespaces/{NAMESPACE}/pods", **query):
                    self._take(event["object"])

    def _take(self, pod: Json) -> None:
        conditions = (pod.get("status") or {}).get("conditions") or []
        ready = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
        with self._changed:
            self._at = {ready: time.perf_counter()}
            self._changed.notify_all()


def _set_ready(cluster: ClusterConnection, pod: str, *, ready: bool) -> None:
    change = {"status": {"conditions": [{"type": "Ready", "status": str(ready)}]}}
    cluster._call("PATCH", f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}/status", {}, change, STRATEGIC)  # noqa: SLF001


def _running_pod(gpuctl: Gpuctl, name: str) -> str:
    """The pod of a job that serves, submitted now."""
    gpuctl.submit(a_document("compute", name, NAMESPACE, resources={"gpu-type": "Tesla-T4"}))
    until(lambda: gpuctl.status(name) == "Running", f"{name} Running", STEP_SECONDS_MAX)
    return str(gpuctl.pods(name)[0]["jobId"])


def _annotate(cluster: ClusterConnection, pod: str, key: str, value: str) -> None:
    cluster.merge(f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}", {"metadata": {"annotations": {key: value}}})


def _log_path(name: str) -> str:
    return f"/api/v1/jobs/{name}/logs/ws?namespace={NAMESPACE}&tail=100"

"""Noticing at once that something of a job changed: its pods, its Job, its Deployment, its StatefulSet.

A watch only says *which* jobs changed; what is true is read afresh by whoever is told. Changes that come together are
told together, so a thousand events are few calls.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

from clusters.connection import ClusterConnection
from clusters.jobs import PODS, WORKLOADS, collection
from clusters.resumed_watch import ResumedWatch
from domain.identifiers import JOB_LABEL

Json = dict[str, Any]
OnChange = Callable[[frozenset[str]], None]

GATHER_SECONDS: Final = 0.2
"""Between two calls: short enough for a person who watches, long enough for a job's pods to start together."""


def watch_jobs(connection: ClusterConnection, on_change: OnChange, stop: threading.Event) -> None:
    """Call `on_change` with the ids of the jobs that changed: all there are at the begin, then each, until `stop`.

    It is called on this thread, never twice at a time, and must not raise. Jobs that went while nobody watched are
    not told: whoever starts watching asks for those that it knows of.
    """
    news = _News(stop)
    kinds = (PODS, *WORKLOADS)
    watches = [threading.Thread(target=_KindWatch(connection, kind, news, stop).run, daemon=True) for kind in kinds]
    for watch in watches:
        watch.start()
    while not stop.is_set():
        if changed := news.take():
            on_change(changed)
            stop.wait(GATHER_SECONDS)
    for watch in watches:
        watch.join()


class _News:
    """The jobs that changed since somebody was last told."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._jobs: set[str] = set()
        self._lock = threading.Condition()

    def add(self, *job_ids: str) -> None:
        with self._lock:
            self._jobs.update(job_ids)
            self._lock.notify()

    def take(self) -> frozenset[str]:
        """What there is, waiting a moment for it where there is nothing."""
        with self._lock:
            self._lock.wait_for(lambda: bool(self._jobs), timeout=GATHER_SECONDS)
            taken, self._jobs = frozenset(self._jobs), set()
            return taken


class _KindWatch(ResumedWatch):
    """The objects of one kind in all namespaces: keeps whose they are, and tells whatever is not as it was."""

    def __init__(self, connection: ClusterConnection, kind: str, news: _News, stop: threading.Event) -> None:
        super().__init__(connection, collection(kind, ""), stop, selector=JOB_LABEL)
        self._news = news
        self._seen: dict[str, tuple[str, str]] = {}

    def _listed(self, items: Sequence[Json], *, was_away: bool) -> None:  # noqa: ARG002 - that it is back changed no job
        seen = {thing["metadata"]["uid"]: _mark(thing) for thing in items}
        changed = set(seen.items()) ^ set(self._seen.items())
        self._seen = seen
        if changed:
            self._news.add(*(job_id for _, (job_id, _) in changed))

    def _noticed(self, thing: Json, *, gone: bool) -> None:
        uid, mark = thing["metadata"]["uid"], _mark(thing)
        before = self._seen.pop(uid, mark)
        if not gone:
            self._seen[uid] = mark
        self._news.add(mark[0], before[0])


def _mark(thing: Json) -> tuple[str, str]:
    """Whose it is, and its version."""
    metadata = thing["metadata"]
    return (metadata.get("labels") or {}).get(JOB_LABEL, ""), metadata["resourceVersion"]

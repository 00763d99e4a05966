"""Noticing at once that something of a job changed: its pods, its Job, its Deployment, its StatefulSet.

A watch only says *which* jobs changed; what is true is read afresh by whoever is told. Changes that come together are
told together, so a thousand events are few calls.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from clusters.connection import ClusterConnection
from clusters.failures import ListExpired
from clusters.jobs import PODS, WORKLOADS, collection
from clusters.watches import BACK_OFF_SECONDS_MAX, LIST_AGAIN_SECONDS, WATCH_SECONDS
from domain.failures import BerthFailure
from domain.identifiers import JOB_LABEL

Json = dict[str, Any]
OnChange = Callable[[frozenset[str]], None]

log = logging.getLogger(__name__)

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


class _KindWatch:
    """Watches the objects of one kind in all namespaces: keeps whose they are and from where to go on."""

    def __init__(self, connection: ClusterConnection, kind: str, news: _News, stop: threading.Event) -> None:
        self._connection, self._kind = connection, kind
        self._path = collection(kind, "")
        self._news, self._stop = news, stop
        self._seen: dict[str, tuple[str, str]] = {}
        self._version = ""
        self._list_again_at = 0.0

    def run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                self._go_on()
                failures = 0
            except ListExpired:
                self._version = ""
                self._stop.wait(GATHER_SECONDS)
            except BerthFailure as failure:
                failures += 1
                self._version = ""
                log.warning("watching %s of cluster %s: %s", self._kind, self._connection.name, failure.message)
                self._stop.wait(min(BACK_OFF_SECONDS_MAX, failures * GATHER_SECONDS))

    def _go_on(self) -> None:
        if not self._version or time.monotonic() > self._list_again_at:
            self._list()
        query = {"watch": "true", "allowWatchBookmarks": "true", "labelSelector": JOB_LABEL}
        more = {"resourceVersion": self._version, "timeoutSeconds": str(WATCH_SECONDS)}
        for event in self._connection.lines(self._path, **query, **more):
            self._take(event)
            if self._stop.is_set():
                return

    def _list(self) -> None:
        """Tells whatever is not as it was when it was last seen."""
        listed = self._connection.get(self._path, labelSelector=JOB_LABEL)
        seen = {thing["metadata"]["uid"]: _mark(thing) for thing in listed["items"] or []}
        changed = set(seen.items()) ^ set(self._seen.items())
        self._seen = seen
        self._version = listed["metadata"]["resourceVersion"]
        self._list_again_at = time.monotonic() + LIST_AGAIN_SECONDS
        if changed:
            self._news.add(*(job_id for _, (job_id, _) in changed))

    def _take(self, event: Json) -> None:
        thing = event["object"]
        if event["type"] == "ERROR":
            raise ListExpired(f"the watch ended: {thing.get('message')}")
        if event["type"] != "BOOKMARK":
            self._notice(thing, gone=event["type"] == "DELETED")
        self._version = thing["metadata"]["resourceVersion"]

    def _notice(self, thing: Json, *, gone: bool) -> None:
        uid, mark = thing["metadata"]["uid"], _mark(thing)
        before = self._seen.pop(uid, mark)
        if not gone:
            self._seen[uid] = mark
        self._news.add(mark[0], before[0])


def _mark(thing: Json) -> tuple[str, str]:
    """Whose it is, and its version."""
    metadata = thing["metadata"]
    return (metadata.get("labels") or {}).get(JOB_LABEL, ""), metadata["resourceVersion"]

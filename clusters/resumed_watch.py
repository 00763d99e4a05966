"""A watch over the objects of one kind that goes on where it stopped, and begins anew with a list where it cannot."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final

from clusters.failures import ListExpired
from domain.failures import BerthFailure

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

    from clusters.connection import ClusterConnection

Json = dict[str, Any]

log = logging.getLogger(__name__)

WATCH_SECONDS: Final = 5
"""How long one request watches before the next goes on from there: bounds how long a stop, or a dead peer, takes."""
LIST_AGAIN_SECONDS: Final = 300.0
"""A cluster restored from a backup counts its versions from an earlier one: a watch would wait there in silence."""
PAUSE_SECONDS: Final = 0.5
"""Before it is tried again; so much longer after each failure in a row."""
PAUSE_SECONDS_MAX: Final = 10.0


class ResumedWatch(ABC):
    """Whoever derives from it keeps what was last seen, and tells what differs."""

    def __init__(self, connection: ClusterConnection, path: str, stop: threading.Event, *, selector: str = "") -> None:
        self._connection, self._path, self._stop = connection, path, stop
        self._selection = {"labelSelector": selector} if selector else {}
        self._version = ""
        self._list_again_at = 0.0
        self._was_away = False

    @abstractmethod
    def _listed(self, items: Sequence[Json], *, was_away: bool) -> None:
        """All that there are now. `was_away`: the cluster did not answer before."""

    @abstractmethod
    def _noticed(self, thing: Json, *, gone: bool) -> None:
        """One of them came, changed or went."""

    def run(self) -> None:
        """Watch until stopped."""
        failures = 0
        while not self._stop.is_set():
            try:
                self._go_on()
                failures = 0
            except ListExpired:
                self._version = ""
                self._stop.wait(PAUSE_SECONDS)
            except BerthFailure as failure:
                failures += 1
                self._version, self._was_away = "", True
                log.warning("watching %s of cluster %s: %s", self._path, self._connection.name, failure.message)
                self._stop.wait(min(PAUSE_SECONDS_MAX, failures * PAUSE_SECONDS))

    def _go_on(self) -> None:
        if not self._version or time.monotonic() > self._list_again_at:
            self._list()
        query = {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": self._version, **self._selection}
        for event in self._connection.lines(self._path, **query, timeoutSeconds=str(WATCH_SECONDS)):
            self._take(event)
            if self._stop.is_set():
                return

    def _list(self) -> None:
        listed = self._connection.get(self._path, **self._selection)
        self._listed(listed["items"] or [], was_away=self._was_away)
        self._was_away = False
        self._version = listed["metadata"]["resourceVersion"]
        self._list_again_at = time.monotonic() + LIST_AGAIN_SECONDS

    def _take(self, event: Json) -> None:
        thing = event["object"]
        if event["type"] == "ERROR":
            raise ListExpired(f"the watch ended: {thing.get('message')}")
        if event["type"] != "BOOKMARK":
            self._noticed(thing, gone=event["type"] == "DELETED")
        self._version = thing["metadata"]["resourceVersion"]

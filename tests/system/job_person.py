"""Somebody whose work is jobs: submits them as gpuctl does, looks at them, suspends and resumes them, deletes them.

What became of them is judged by the ledger's events and the clusters' audit logs; every answer must be one that the
question may get.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from tests.system.fates import fate
from tests.system.gpuctl import NATIVE, Gpuctl, a_document
from tests.system.town import LIVE_MAX, PAUSE_SECONDS_RANGE
from tests.system.users import AWAY, LATER, LATER_SECONDS, User

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from random import Random

    from tests.system.egs import Egs
    from tests.system.users import Replies

Json = dict[str, Any]

CLUSTERS: Final = ("worker-1", "worker-2")
OVER: Final = frozenset({"released", "expired", "cancelled", "failed"})
SLOWNESS: Final = 3.0
"""So much longer between two questions than others take: a job is much work."""


class JobPerson:
    """One of them, in a workspace of their own."""

    def __init__(self, name: str, egs: Egs, url: str, api_key: str, replies: Replies, random: Random) -> None:
        self.name = name
        self._user = User(egs, replies)
        self._gpuctl = Gpuctl(url, api_key, name)
        self._random = random
        self._live: list[Json] = []
        self._number = 0
        self._acts = self._weighted()

    def live(self, over: threading.Event) -> None:
        """Work until it is over."""
        self._insist("create workspace", lambda: self._user.egs.create_workspace(self.name, *CLUSTERS, key=self.name))
        while not over.wait(SLOWNESS * self._random.uniform(*PAUSE_SECONDS_RANGE)):
            self._random.choice(self._acts)()
        self._user.egs.close()
        self._gpuctl.close()

    def _weighted(self) -> list[Callable[[], None]]:
        weights = {
            self._submit: 8,
            self._look: 6,
            self._detail: 3,
            self._log: 2,
            self._suspend: 4,
            self._resume: 5,
            self._delete: 3,
        }
        return [act for act, weight in weights.items() for _ in range(weight)]

    def _submit(self) -> None:
        if len(self._live) >= LIVE_MAX:
            return
        self._number += 1
        name = f"j{self._number}"
        document = self._document(name)
        self._insist("submit job", lambda: self._gpuctl.submit(document, key=f"{self.name}-{name}"))
        self._look()

    def _document(self, name: str) -> Json:
        """Half of them end by themselves, well or badly."""
        random = self._random
        if random.random() < 0.5:
            return a_document(random.choice(("compute", "notebook", "inference")), name, self.name)
        ends = {"run": f"{random.randint(1, 5)}s"} | ({"fail": "OOMKilled"} if random.random() < 0.2 else {})
        sections = {"environment": {"command": fate(**ends)}, "job": {"retries": 0}}
        return a_document("training", name, self.name, resources={"gpu": random.randint(1, 2)}, **sections)

    def _look(self) -> None:
        """As gpuctl, and as Berth's own clients."""
        self._user.ask("list jobs", self._gpuctl.rows)
        query = {"workspace": self.name, "limit": 100}
        listing = lambda: self._gpuctl.ask("GET", "/gprs", prefix=NATIVE, params=query)  # noqa: E731
        reply = self._user.ask("list jobs natively", listing)
        if reply.is_fine:
            self._live = [gpr for gpr in reply.data["items"] if gpr["phase"] not in OVER]

    def _detail(self) -> None:
        if job := self._job():
            self._user.ask("job detail", lambda: self._gpuctl.job(job["name"]))

    def _log(self) -> None:
        if job := self._job():
            self._user.ask("job log", lambda: self._gpuctl.log(job["name"]))

    def _suspend(self) -> None:
        self._tell("suspend")

    def _resume(self) -> None:
        self._tell("resume")

    def _tell(self, verb: str) -> None:
        """What is over, or ends for good, stays as it is: 409."""
        if job := self._job():
            path = f"/jobs/{job['id']}/{verb}"
            self._user.ask(f"{verb} job", lambda: self._gpuctl.ask("POST", path, prefix=NATIVE), 200, 409)

    def _delete(self) -> None:
        if job := self._job():
            force = self._random.random() < 0.3
            self._user.ask("delete job", lambda: self._gpuctl.delete(job["name"], force=force))

    def _job(self) -> Json | None:
        return self._random.choice(self._live) if self._live else None

    def _insist(self, what: str, question: Callable[[], Any]) -> None:
        """Ask until somebody answers."""
        while self._user.ask(what, question).status in AWAY | {LATER}:
            time.sleep(LATER_SECONDS)

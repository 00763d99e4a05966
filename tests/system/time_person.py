"""Somebody who plans ahead: submits natively, has starts promised, reserves, cancels. Whether it is kept, the books say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from tests.system.gpuctl import NATIVE, Gpuctl
from tests.system.population import A100, CLUSTER
from tests.system.town import LIVE_MAX, PAUSE_SECONDS_RANGE
from tests.system.users import AWAY, LATER, LATER_SECONDS, User

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from random import Random

    from tests.system.egs import Egs
    from tests.system.users import Replies

Json = dict[str, Any]

SLOWNESS: Final = 5.0
"""So much longer between two questions than others take."""
AHEAD_SECONDS_RANGE: Final = (10, 40)
NO_ROOM: Final = (200, 409, 422)
"""It is taken; or by the time of the answer it would have begun."""


class TimePerson:
    """One of them, in two workspaces of their own, on the one node that few others want."""

    def __init__(self, name: str, egs: Egs, url: str, api_key: str, replies: Replies, random: Random) -> None:
        self.names = (f"{name}-a", f"{name}-b")
        self._user = User(egs, replies)
        self._native = Gpuctl(url, api_key, name)
        self._random = random
        self._live: list[Json] = []
        self._number = 0

    def live(self, over: threading.Event) -> None:
        """Plan until it is over."""
        for name in self.names:
            create = lambda name=name: self._user.egs.create_workspace(name, CLUSTER, key=name)  # noqa: E731
            while self._user.ask("create workspace", create).status in AWAY | {LATER}:
                over.wait(LATER_SECONDS)
        acts = self._weighted()
        while not over.wait(SLOWNESS * self._random.uniform(*PAUSE_SECONDS_RANGE)):
            self._random.choice(acts)()
        self._user.egs.close()
        self._native.close()

    def _weighted(self) -> list[Callable[[], None]]:
        weights = {
            self._submit: 6,
            self._look: 3,
            self._promise: 5,
            self._withdraw: 1,
            self._reserve: 3,
            self._release: 1,
        }
        return [act for act, weight in weights.items() for _ in range(weight)]

    def _submit(self) -> None:
        self._look()
        if len(self._live) < LIVE_MAX:
            wish = {"duration": f"{self._random.randint(2, 8)}s", "gpus_per_node": self._random.randint(1, 4)}
            self._create("submit natively", "/gprs", wish, 200)
            self._look()

    def _reserve(self) -> None:
        start = datetime.now(UTC) + timedelta(seconds=self._random.randint(*AHEAD_SECONDS_RANGE))
        wish = {"duration": f"{self._random.randint(12, 20)}s", "gpus_per_node": self._random.randint(1, 4)}
        self._create("reserve", "/reservations", wish | {"start": start.replace(microsecond=0).isoformat()}, *NO_ROOM)

    def _create(self, what: str, path: str, wish: Json, *expected: int) -> None:
        self._number += 1
        name = f"t{self._number}"
        body = {"workspace": self._random.choice(self.names), "name": name, "shape": A100, **wish}
        headers = {"Idempotency-Key": f"{self.names[0]}-{name}"}
        self._user.ask(what, lambda: self._native.ask("POST", path, body, prefix=NATIVE, headers=headers), *expected)

    def _look(self) -> None:
        query = {"limit": 50, "phase": "queued,provisioning,active"}
        reply = self._user.ask("list natively", lambda: self._native.ask("GET", "/gprs", prefix=NATIVE, params=query))
        if reply.is_fine:
            self._live = [gpr for gpr in reply.data["items"] if gpr["workspace"] in self.names]

    def _promise(self) -> None:
        """What does not wait any more, or is reserved, is promised nothing: 409."""
        self._tell("POST", "promise")

    def _withdraw(self) -> None:
        self._tell("DELETE", "promise")

    def _release(self) -> None:
        self._tell("POST", "release")

    def _tell(self, method: str, what: str) -> None:
        if self._live:
            path = f"/gprs/{self._random.choice(self._live)['id']}/{what}"
            self._user.ask(f"{method} {what}", lambda: self._native.ask(method, path, prefix=NATIVE), 200, 409)

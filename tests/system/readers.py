"""Many who ask all the time, and each different answer that they got."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, Self

from tests.system.egs import NoAnswer, Refusal
from tests.system.freedom import until

if TYPE_CHECKING:
    from tests.system.egs import Egs

READERS = 4
PAUSE_SECONDS = 0.01
SERVED_SECONDS_MAX = 15.0
SERVED, AWAY = "200", "503"


class Readers:
    """Ask for the list of workspaces until told to stop."""

    def __init__(self, egs: Egs) -> None:
        self.answers: Counter[str] = Counter()
        self._egs = egs
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._read, daemon=True) for _ in range(READERS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def await_served(self) -> None:
        """Wait until somebody is served anew."""
        before = self.answers[SERVED]
        until(lambda: self.answers[SERVED] > before, "a reader who is served", SERVED_SECONDS_MAX)

    def _read(self) -> None:
        while not self._over.wait(PAUSE_SECONDS):
            self.answers[self._answer()] += 1

    def _answer(self) -> str:
        try:
            self._egs.workspaces()
        except Refusal as refusal:
            return AWAY if refusal.status == int(AWAY) else str(refusal)
        except NoAnswer as silence:
            return f"no answer: {silence}"
        return SERVED

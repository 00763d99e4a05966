"""One at a time between processes: a lock that the kernel drops when its holder dies."""

from __future__ import annotations

import fcntl
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def _nothing() -> None:
    return


@contextmanager
def held(path: Path, on_wait: Callable[[], None] = _nothing) -> Iterator[None]:
    """Hold the lock; `on_wait` is called once when another process holds it, before waiting."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield

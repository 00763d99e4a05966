"""The last lines of one pod, as they come, for as many readers as there are.

Every reader has a place of its own in one bounded row of lines: one that comes late finds what was said before it, one
that is slow holds nobody up, and what nobody has missed is kept once. Where the lines come from is left to
`log_streams.py`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

from domain.failures import BerthFailure, Unavailable
from domain.job import LogLine, LogPlace, moment_of

LINES_KEPT: Final = 1_000
"""How far a reader may fall behind, and how long a tail may be."""
CHARACTERS_KEPT: Final = 8 * 1024 * 1024
"""The same for lines that are long."""
BATCH: Final = 50


class FellBehind(Unavailable):
    """The reader takes lines more slowly than they come, and has fallen behind too far; go on from the last line."""

    code = "fell_behind"


class PodStream:
    """One pod's lines, numbered from 0 in the order in which they came."""

    def __init__(self, lines_kept: int = LINES_KEPT) -> None:
        self._lines_kept = lines_kept
        self._lines: deque[LogLine] = deque()
        self._characters = 0
        self._first = 0
        self._is_whole = True
        self._lost_at = ""
        self._news = asyncio.Event()
        self._failure: BerthFailure | None = None
        self.has_ended = False

    @property
    def next(self) -> int:
        """The number of the line that comes next."""
        return self._first + len(self._lines)

    def begin(self, tail: Sequence[LogLine], *, is_whole: bool) -> None:
        """Begin with what was said already; whether that is all there is."""
        self._is_whole = is_whole
        self._lost_at = tail[0].at if tail else ""
        self.add(tail)

    def add(self, lines: Iterable[LogLine]) -> None:
        """Tell every reader."""
        for line in lines:
            self._lines.append(line)
            self._characters += len(line.text)
        while len(self._lines) > self._lines_kept or (self._characters > CHARACTERS_KEPT and len(self._lines) > 1):
            self._forget(self._lines.popleft())
        self._tell()

    def end(self, failure: BerthFailure | None = None) -> None:
        """No more lines come, and why if not by themselves."""
        self.has_ended, self._failure = True, failure
        self._tell()

    async def read(self, number: int) -> Sequence[LogLine]:
        """Lines from this number on, as soon as there are any; none at the end. FellBehind where it is forgotten."""
        while number >= self.next:
            if self.has_ended:
                return self._nothing_more()
            await self._news.wait()
        if number < self._first:
            raise FellBehind
        begin = number - self._first
        return list(islice(self._lines, begin, begin + BATCH))

    def number_of_tail(self, lines: int) -> int:
        """Where the last so many lines begin."""
        return max(self._first, self.next - lines)

    def number_after(self, place: LogPlace | None) -> int | None:
        """Where it goes on after a place, None being the beginning; None where that is older than what is kept."""
        if not self._reaches(place):
            return None
        return self._first + (told_of(self._lines, place) if place else 0)

    def _reaches(self, place: LogPlace | None) -> bool:
        if self._is_whole:
            return True
        lost, wanted = moment_of(self._lost_at), moment_of(place.at) if place else None
        return lost is not None and wanted is not None and lost < wanted

    def _forget(self, line: LogLine) -> None:
        self._first += 1
        self._characters -= len(line.text)
        self._is_whole = False
        self._lost_at = line.at or self._lost_at

    def _nothing_more(self) -> Sequence[LogLine]:
        if self._failure is not None:
            raise self._failure
        return ()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


def told_of(lines: Iterable[LogLine], place: LogPlace) -> int:
    """How many of these lines, from their first on, a reader at this place was told."""
    at, told, left = moment_of(place.at), 0, place.told
    if at is None:
        return 0
    for count, line in enumerate(lines, 1):
        moment = moment_of(line.at)
        if moment is None:
            continue
        if moment > at or (moment == at and not left):
            break
        left -= moment == at
        told = count
    return told


def place_after(place: LogPlace | None, lines: Iterable[LogLine]) -> LogPlace | None:
    """Where a reader is who was told these lines too."""
    at, told = (place.at, place.told) if place else ("", 0)
    for line in lines:
        if line.at:
            at, told = line.at, told + 1 if line.at == at else 1
    return LogPlace(at, told) if at else place

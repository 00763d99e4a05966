"""Spans of time, and where they overlap."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Span = tuple[int, int]
"""From when until when."""


def starts_within(spans: Iterable[Span], stay: int) -> Iterator[Span]:
    """From the first to the last start of something that stays so long; nothing of spans that are too short."""
    return ((begin, end - stay) for begin, end in spans if end - begin >= stay)


def overlaps(spans: Iterable[Span], wanted: int) -> list[Span]:
    """Where at least so many cover an instant, in order; both ends of a span count as covered."""
    more = defaultdict[int, int](int)
    for first, last in spans:
        more[first] += 1
        more[last + 1] -= 1
    found: list[Span] = []
    covering = 0
    for instant in sorted(more):
        before, covering = covering, covering + more[instant]
        if before < wanted <= covering:
            begin = instant
        elif covering < wanted <= before:
            found.append((begin, instant - 1))
    return found

"""Who chooses what a random world looks like: hypothesis, which finds the smallest that breaks a law, or dice, which are quick."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from random import Random
from typing import Protocol, TypeVar

from hypothesis import strategies as st

_T = TypeVar("_T")

MUTATING = "MUTANT_UNDER_TEST" in os.environ
"""mutmut asks: it wants to know soon that a law breaks, always on the same worlds, and not the smallest that breaks it."""


class Chance(Protocol):
    """Chooses."""

    def pick(self, options: Sequence[_T]) -> _T:
        """One of these."""

    def number(self, low: int, high: int) -> int:
        """From the one to the other, both included."""


class Drawn:
    """By hypothesis."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def pick(self, options: Sequence[_T]) -> _T:
        return self._draw(st.sampled_from(options))

    def number(self, low: int, high: int) -> int:
        return self._draw(st.integers(low, high))


class Dice:
    """By a seed: the same each time."""

    def __init__(self, seed: str) -> None:
        random = Random(seed)
        self.pick = random.choice
        self.number = random.randint


def drawn(make: Callable[[Chance], _T]) -> st.SearchStrategy[_T]:
    """What hypothesis is given to choose from."""
    if MUTATING:
        return st.integers(0, 10**9).map(lambda seed: make(Dice(str(seed))))

    @st.composite
    def strategy(draw: st.DrawFn) -> _T:
        return make(Drawn(draw))

    return strategy()

"""The laws of the planner in their long form: `python -m bench.laws --cases 1000000`.

A case is one law on one random world; all laws about one kind of world judge the same ones. The short form is what the tests
run: there hypothesis chooses the worlds, always the same, and finds the smallest that breaks a law. Here dice do, which is
ten times quicker. A law that breaks ends it, with the seed of its world: `--seed` begins there.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from inspect import signature
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any, Final

from hypothesis.errors import HypothesisDeprecationWarning, UnsatisfiedAssumption

from bench._conditions import arguments
from tests.pure.planner import (
    test_forecasts_come_true,
    test_laws,
    test_openings,
    test_order,
    test_preemption_laws,
    test_windows,
)
from tests.pure.planner.chance import Chance, Dice
from tests.pure.planner.preemption_worlds import world_of_leases
from tests.pure.planner.worlds import kept_snapshot, small_pages_patched, world, world_and_newcomer

if TYPE_CHECKING:
    from types import ModuleType

    from planner.snapshot import Snapshot

Law = Any
"""A test that hypothesis runs; `hypothesis.inner_test` of it judges one world."""
TOLD_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Kind:
    """Worlds of one kind, and the laws about them."""

    make: Callable[[Chance], tuple[Any, ...]]
    """What the laws are given."""
    laws: tuple[Law, ...]
    every: int = 1
    """One world in so many: some laws are slow."""


def laws_of(module: ModuleType, *arguments: str) -> tuple[Law, ...]:
    """Those in it that are about these, by the names that they give them."""
    found = [one for one in vars(module).values() if hasattr(one, "hypothesis")]
    return tuple(one for one in found if tuple(signature(one.hypothesis.inner_test).parameters) == arguments)


def _shuffled(chance: Chance) -> tuple[Snapshot, Random]:
    return world(chance), Random(chance.number(0, 10**9))


def _extended(chance: Chance) -> tuple[Snapshot, int, int]:
    return kept_snapshot(chance), chance.number(0, 12), chance.number(0, 9)


KINDS: Final = (
    Kind(lambda chance: (world(chance),), laws_of(test_laws, "snapshot")),
    Kind(_shuffled, laws_of(test_laws, "snapshot", "random")),
    Kind(lambda chance: (world_and_newcomer(chance),), laws_of(test_laws, "world")),
    Kind(lambda chance: (world_of_leases(chance),), laws_of(test_preemption_laws, "snapshot")),
    Kind(lambda chance: (test_windows.world_with_a_wish(chance),), laws_of(test_windows, "world"), every=8),
    Kind(_extended, laws_of(test_windows, "snapshot", "wished", "pick")),
    Kind(lambda chance: (kept_snapshot(chance),), laws_of(test_order, "snapshot")),
    Kind(lambda chance: (test_openings.world_with_wishes(chance),), laws_of(test_openings, "asked")),
    Kind(
        lambda chance: (test_forecasts_come_true.world_and_looks(chance),), laws_of(test_forecasts_come_true, "begin")
    ),
)


def main() -> None:
    """Prints a line a minute, and one at the end."""
    sizes = arguments(__doc__, cases=1_000_000, seed=1)
    cases, began, told = 0, time.monotonic(), 0.0
    warnings.simplefilter("ignore", HypothesisDeprecationWarning)  # a law may assume something, and then is no case
    with small_pages_patched():
        for seed in count(sizes.seed):
            cases += sum(judged(kind, f"{seed}-{number}", seed) for number, kind in enumerate(KINDS))
            seconds = time.monotonic() - began
            if cases >= sizes.cases or seconds - told > TOLD_SECONDS:
                told = seconds
                print(f"{cases} cases in {seconds:.0f} s, seeds {sizes.seed} to {seed}", flush=True)
            if cases >= sizes.cases:
                return


def judged(kind: Kind, dice: str, seed: int) -> int:
    """How many cases of this kind this seed had; AssertionError."""
    if seed % kind.every:
        return 0
    made, cases = kind.make(Dice(dice)), 0
    for law in kind.laws:
        with suppress(UnsatisfiedAssumption):
            try:
                law.hypothesis.inner_test(*made)
            except Exception as problem:
                problem.add_note(f"{law.__name__}: --seed {seed}")
                raise
            cases += 1
    return cases


if __name__ == "__main__":
    main()

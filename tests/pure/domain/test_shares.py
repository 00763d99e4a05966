from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.failures import InvalidRequest
from domain.shares import Allowance, Held, Override, OverTime, Scope, Spell, allowed_now, over_time

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
SPELLS = st.lists(
    st.builds(
        lambda amount, begin, length: a_spell(amount, begin, begin + length),
        *[st.integers(-6, 6)] * 2,
        st.integers(0, 6),
    ),
    max_size=5,
)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def a_spell(amount: int, begin: int, end: int) -> Spell:
    return Spell(amount, at(begin), at(end))


def tried(usual: int | None, spells: list[Spell], instant: datetime) -> int | None:
    """What counts at an instant, the obvious way."""
    amount = usual
    for spell in spells:
        if spell.begins_at <= instant < spell.ends_at:
            amount = spell.amount
    return amount


def said(found: OverTime, instant: datetime) -> int | None:
    return [found.now, *(amount for since, amount in found.changes if since <= instant)][-1]


@given(st.sampled_from([None, 3]), SPELLS)
def test_what_counts_over_time_is_what_trying_every_instant_finds(usual: int | None, spells: list[Spell]) -> None:
    found = over_time(usual, spells, NOON)
    for half in range(40):
        assert said(found, at(half / 2)) == tried(usual, spells, at(half / 2))


@given(st.sampled_from([None, 3]), SPELLS)
def test_changes_lie_ahead_in_order_and_change_something(usual: int | None, spells: list[Spell]) -> None:
    found = over_time(usual, spells, NOON)
    amounts = [found.now, *(amount for _, amount in found.changes)]
    assert all(since > NOON for since, _ in found.changes)
    assert [since for since, _ in found.changes] == sorted(since for since, _ in found.changes)
    assert all(before != after for before, after in pairwise(amounts))
    assert found.is_limited == any(amount is not None for amount in amounts)


def test_of_two_spells_at_one_instant_the_later_set_counts() -> None:
    found = over_time(4, [a_spell(8, 0, 10), a_spell(2, 5, 7)], NOON)
    assert found == OverTime(8, ((at(5), 2), (at(7), 8), (at(10), 4)))


def test_a_ceiling_below_what_is_guaranteed_is_refused() -> None:
    Allowance(4, 4).check()
    Allowance(4).check()
    with pytest.raises(InvalidRequest):
        Allowance(4, 3).check()


def test_an_override_leaves_what_it_does_not_name() -> None:
    override = Override(
        uuid4(), Scope.DEPARTMENT, "research", None, "", Allowance(None, 9), at(-1), at(1), "", "root", at(-2)
    )
    assert allowed_now(Allowance(3, 5), [override], NOON) == Allowance(3, 9)
    assert allowed_now(Allowance(3, 5), [override], at(1)) == Allowance(3, 5)
    assert override.owner == ("department", "", "research")


def test_what_is_held_is_both_kinds() -> None:
    assert Held(2, 3).gpus == 5

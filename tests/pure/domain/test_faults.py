"""What faults mean, and how much they may set aside."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.devices import FaultKind
from domain.faults import KINDS, XIDS, Reach, Remedy, may_set_aside, meaning_of


@pytest.mark.parametrize(
    ("xid", "remedy", "reach"),
    [
        (48, Remedy.RESET_GPU, Reach.GPU),
        (95, Remedy.RESET_GPU, Reach.GPU),
        (79, Remedy.REBOOT_NODE, Reach.NODE),
        (74, Remedy.CHECK_LINKS, Reach.GPU),
        (31, Remedy.NONE, Reach.NOTHING),
        (109, Remedy.NONE, Reach.NOTHING),
        (9999, Remedy.NONE, Reach.NOTHING),
    ],
)
def test_an_xid_means_what_the_table_says_and_an_unknown_one_nothing(xid: int, remedy: Remedy, reach: Reach) -> None:
    meaning = meaning_of(FaultKind.XID, xid)
    assert (meaning.remedy, meaning.reach) == (remedy, reach)


def test_every_other_kind_of_fault_has_a_meaning() -> None:
    assert set(KINDS) == set(FaultKind) - {FaultKind.XID}
    assert all(meaning.reach is not Reach.NOTHING for meaning in KINDS.values())


def test_only_what_needs_another_gpu_is_never_seen_to_mend() -> None:
    assert [kind for kind, meaning in KINDS.items() if not meaning.is_seen_to_mend] == [FaultKind.ROW_REMAP_FAILED]
    assert all(meaning.is_seen_to_mend for meaning in XIDS.values())


def test_a_fault_of_no_known_kind_is_only_noted() -> None:
    assert meaning_of("fan", None).reach is Reach.NOTHING


@given(st.integers(1, 10_000), st.integers(1, 64))
def test_the_first_is_always_set_aside_however_small_the_pool(total: int, more: int) -> None:
    assert may_set_aside(total, 0, more)


@given(st.integers(1, 1000), st.integers(1, 1000), st.integers(1, 64))
def test_after_it_never_more_than_a_fifth(total: int, already: int, more: int) -> None:
    assert may_set_aside(total, already, more) == (5 * (already + more) <= total)

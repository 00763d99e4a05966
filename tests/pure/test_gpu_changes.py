"""What becomes of GPUs from one reading to the next is told once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from devices.changes import Changes
from domain.devices import FaultKind, GpuHealth, GpuIdentity, NodeReading

AT = datetime(2026, 1, 1, tzinfo=UTC)
WELL = GpuHealth("a", 0, 0, 0, 0, 0, 0, row_remap_pending=False, row_remap_failed=False)


def reading(*healths: GpuHealth, lost: tuple[int, ...] = ()) -> NodeReading:
    gpus = tuple(GpuIdentity(health.uuid, place, "H100", 81_559) for place, health in enumerate(healths))
    return NodeReading(gpus, (), healths, lost)


def told(*readings: NodeReading) -> list[list[tuple[FaultKind, str]]]:
    changes = Changes()
    return [[(fault.kind, fault.uuid) for fault in changes.faults(one, AT)] for one in readings]


def worse(**changes: Any) -> GpuHealth:
    return replace(WELL, **changes)


def test_of_gpus_that_are_well_nothing_is_told() -> None:
    assert told(reading(WELL), reading(WELL)) == [[], []]


def test_a_mark_is_told_when_it_is_set_and_again_when_it_is_set_again() -> None:
    marked = reading(worse(row_remap_pending=True))
    pending = [(FaultKind.ROW_REMAP_PENDING, "a")]
    assert told(reading(WELL), marked, marked, reading(WELL), marked) == [[], pending, [], [], pending]


def test_errors_are_told_as_often_as_they_grow_and_by_how_much() -> None:
    changes = Changes()
    grown = []
    for count in (0, 2, 2, 5, 1):
        [*faults] = changes.faults(reading(worse(ecc_uncorrected_volatile=count)), AT)
        grown.append([fault.detail["grownBy"] for fault in faults])
    assert grown == [[], [2], [], [3], [1]], "after a reset it counts from 0 again"


def test_corrected_errors_are_no_fault() -> None:
    assert told(reading(WELL), reading(worse(ecc_corrected_volatile=9))) == [[], []]


def test_where_only_the_aggregate_is_known_its_growth_is_told_and_its_past_is_not() -> None:
    old = worse(ecc_uncorrected_volatile=None, ecc_uncorrected_aggregate=7)
    more = replace(old, ecc_uncorrected_aggregate=8)
    assert told(reading(old), reading(more)) == [[], [(FaultKind.ECC_UNCORRECTED, "a")]]


def test_what_was_wrong_before_the_first_reading_says_so() -> None:
    faults = Changes().faults(reading(worse(ecc_uncorrected_volatile=3, row_remap_failed=True)), AT)
    assert {fault.kind for fault in faults} == {FaultKind.ECC_UNCORRECTED, FaultKind.ROW_REMAP_FAILED}
    assert all(fault.detail["sinceStart"] for fault in faults)


def test_a_reading_that_fails_is_no_change() -> None:
    blank = GpuHealth("a")
    bad = worse(ecc_uncorrected_volatile=3, row_remap_pending=True)
    assert [len(faults) for faults in told(reading(WELL), reading(bad), reading(blank), reading(bad))] == [0, 2, 0, 0]


def test_a_gpu_that_does_not_answer_is_lost_once_until_it_is_back() -> None:
    other = replace(WELL, uuid="b")
    both, one = reading(WELL, other), reading(WELL, lost=(1,))
    lost = [(FaultKind.LOST, "b")]
    assert told(both, one, one, both, one) == [[], lost, [], [], lost]


def test_a_gpu_that_is_not_listed_any_longer_is_lost() -> None:
    assert told(reading(WELL, replace(WELL, uuid="b")), reading(WELL)) == [[], [(FaultKind.LOST, "b")]]


def test_a_gpu_that_was_lost_before_anybody_looked_is_told_by_its_place() -> None:
    [fault] = Changes().faults(reading(WELL, lost=(1,)), AT)
    assert (fault.kind, fault.ordinal, fault.uuid) == (FaultKind.LOST, 1, "")


def test_mig_instances_come_and_go_without_being_lost() -> None:
    whole = GpuIdentity("a", 0, "H100", 81_559, mig_enabled=True)
    instance = GpuIdentity("m", 0, "H100", 9_984, parent_uuid="a", mig_profile="1g.10gb")
    cut = NodeReading((whole, instance), (), (WELL,))
    assert told(cut, reading(WELL)) == [[], []]

"""A disk is a limit of one: whoever waits for it is told until when, whether a box has it or a copy is being taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arbitration.limits import OPERATION_SECONDS_EXPECTED, disk_limits, disk_operations, disk_use
from ledger.arbitration import WantedDisk
from planner.plan import plan
from tests.builders_planner import HOUR, a_claim, a_lease, a_node, a_snapshot, at, gpus_of

if TYPE_CHECKING:
    from planner.plan import Plan
    from planner.snapshot import LeaseView

DISK = WantedDisk("7", "thesis", "", None)
USE = disk_use(DISK.id)


def planned(*leases: LeaseView, wanted: WantedDisk = DISK, boxes: int = 1) -> Plan:
    claims = [a_claim(f"box-{number}", uses=USE) for number in range(boxes)]
    operations = disk_operations([wanted], {"7"} if leases else set())
    snapshot = a_snapshot(a_node(), *leases, *operations, *claims, limits=disk_limits([wanted, wanted]))
    return plan(snapshot)


def test_a_free_disk_goes_to_the_first_and_the_others_wait_for_one_another() -> None:
    found = planned(boxes=3)
    assert [grant.gpr_id for grant in found.grants] == ["box-0"]
    starts = [forecast.starts_at for forecast in found.forecasts]
    assert starts == [at(HOUR + 5), at(2 * (HOUR + 5))]
    assert found.forecasts[0].reason.text.startswith("waits for disk 'thesis': box-0 goes first")


def test_a_disk_that_a_box_has_is_waited_for_until_that_ends() -> None:
    (forecast,) = planned(a_lease("holder", gpus_of("node-1", 0), 600, uses=USE)).forecasts
    assert forecast.starts_at == at(605)
    assert forecast.reason.text == "waits for disk 'thesis': holder holds it until 12:10 UTC"


def test_a_copy_that_is_being_taken_is_waited_for_about_a_minute() -> None:
    begun = WantedDisk("7", "thesis", "", at(-10))
    (forecast,) = planned(wanted=begun).forecasts
    assert forecast.starts_at == at(OPERATION_SECONDS_EXPECTED - 10 + 5)
    assert "a copy or change of disk 'thesis'" in forecast.reason.text


def test_a_copy_that_takes_longer_than_expected_keeps_a_start_in_sight() -> None:
    (forecast,) = planned(wanted=WantedDisk("7", "thesis", "", at(-10_000))).forecasts
    assert forecast.starts_at == at(5)


def test_what_is_done_with_a_disk_after_its_box_is_not_counted_beside_the_box() -> None:
    waiting = WantedDisk("7", "thesis", "", at(0))
    (forecast,) = planned(a_lease("holder", gpus_of("node-1", 0), 600, uses=USE), wanted=waiting).forecasts
    assert forecast.starts_at == at(605)


def test_who_needs_no_disk_uses_none() -> None:
    assert disk_use(None) == ()

from __future__ import annotations

from planner.floors import Floors
from planner.timeline import Need


def test_nothing_is_proved_at_first() -> None:
    assert Floors().under(1, Need(1, 10)) == 0


def test_a_proof_holds_for_longer_stays_more_gpus_and_more_nodes() -> None:
    floors = Floors()
    floors.lift(2, Need(4, 10), 100)
    assert floors.under(3, Need(8, 20)) == 100
    assert [floors.under(1, Need(4, 10)), floors.under(2, Need(2, 10)), floors.under(2, Need(4, 9))] == [0, 0, 0]


def test_a_higher_floor_of_a_shorter_stay_replaces_lower_ones() -> None:
    floors = Floors()
    for stay, floor in ((20, 100), (30, 300), (10, 200)):
        floors.lift(1, Need(1, stay), floor)
    assert [floors.under(1, Need(1, stay)) for stay in (9, 10, 20, 30)] == [0, 200, 200, 300]


def test_a_lower_floor_than_the_known_one_is_forgotten() -> None:
    floors = Floors()
    floors.lift(1, Need(1, 10), 100)
    floors.lift(1, Need(1, 20), 50)
    assert floors.under(1, Need(1, 20)) == 100

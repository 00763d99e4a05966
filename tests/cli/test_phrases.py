from __future__ import annotations

import pytest

from cli.phrases import counted, elapsed, moment, relative, span
from tests.builders_cli import NOON, seconds_after_noon


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59.4, "59 s"), (59.6, "1m 00s"), (185, "3m 05s"), (7800, "2h 10m"), (277_200, "3d 5h"), (-3, "0 s")],
)
def test_a_span_is_told_in_two_units_at_most(seconds: float, words: str) -> None:
    assert span(seconds) == words


def test_how_long_something_took_has_tenths_only_where_they_say_something() -> None:
    assert [elapsed(0.44), elapsed(9.96), elapsed(10), elapsed(-1)] == ["0.4 s", "10.0 s", "10 s", "0.0 s"]


def test_an_instant_is_told_from_now() -> None:
    assert relative(seconds_after_noon(12), NOON) == "in 12 s"
    assert relative(NOON, seconds_after_noon(12)) == "12 s ago"


def test_another_day_is_named() -> None:
    assert moment(seconds_after_noon(0), NOON).count("-") == 0
    assert moment(seconds_after_noon(200_000), NOON).count("-") == 2


def test_one_is_not_many() -> None:
    assert [counted(1, "GPU"), counted(2, "GPU")] == ["1 GPU", "2 GPUs"]

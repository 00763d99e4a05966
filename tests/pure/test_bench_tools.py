"""What the benches draw and count."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given

from bench import laws
from bench._plot import Series, log_log
from bench.mutants import ROOT, copy_of_the_planner, table, untried
from planner.snapshot import Snapshot
from tests.pure.planner import (
    test_forecasts_come_true,
    test_laws,
    test_openings,
    test_order,
    test_preemption_laws,
    test_windows,
)
from tests.pure.planner.worlds import WORLDS

SVG = "{http://www.w3.org/2000/svg}"


def _places(drawn: str) -> list[list[tuple[float, float]]]:
    lines = ET.fromstring(drawn).iter(f"{SVG}polyline")
    return [
        [(float(x), float(y)) for x, y in (place.split(",") for place in line.attrib["points"].split())]
        for line in lines
    ]


def test_each_series_is_a_line_and_a_decade_is_as_far_everywhere() -> None:
    drawn = log_log(
        "<plan>", "queued", "times", [Series("a", ((1, 1), (10, 100), (100, 10_000))), Series("b & c", ((1, 5),))]
    )
    first, second = _places(drawn)
    (x0, y0), (x1, y1), (x2, y2) = first
    assert (x1 - x0, y0 - y1) == (x2 - x1, y1 - y2)
    assert x1 > x0
    assert y0 > y1
    assert len(second) == 1
    assert {"<plan>", "b & c"} <= {text.text for text in ET.fromstring(drawn).iter(f"{SVG}text")}


def test_a_copy_for_mutants_is_the_planner_with_its_tests(tmp_path: Path) -> None:
    copy_of_the_planner(tmp_path / "copy")
    assert (tmp_path / "copy/planner/steps.py").read_text() == (ROOT / "planner/steps.py").read_text()
    assert (tmp_path / "copy/tests/pure/planner/test_laws.py").exists()


def test_killed_mutants_are_counted_and_survivors_named(tmp_path: Path) -> None:
    results = {"one": 1, "two": 0, "three": None, "four": 36, "five": 3}
    folder = tmp_path / "mutants" / "planner"
    folder.mkdir(parents=True)
    (folder / "steps.py.meta").write_text(json.dumps({"exit_code_by_key": results}))
    (folder / "holes.py.meta").write_text(json.dumps({"exit_code_by_key": {"six": None}}))
    assert table(tmp_path) == [
        "steps: 5 mutants: 2 killed, 1 not tried, 1 survived, 1 without end or answer",
        "  survived: two",
    ]
    assert untried(tmp_path, "planner.steps") == ["three"]
    assert untried(tmp_path, "planner.plan") == ["planner.plan.*"]


def test_the_long_form_judges_by_every_law_about_worlds() -> None:
    modules = (test_forecasts_come_true, test_laws, test_openings, test_order, test_preemption_laws, test_windows)
    written = [name for module in modules for name, one in vars(module).items() if hasattr(one, "hypothesis")]
    judged_by = [law.__name__ for kind in laws.KINDS for law in kind.laws]
    assert sorted(judged_by) == sorted(set(written) - {"test_two_leases_in_a_row_count_as_one"})


def test_a_seed_of_the_long_form_counts_each_law_once_and_names_what_breaks() -> None:
    kind = laws.KINDS[0]
    assert laws.judged(kind, "3-0", 3) == len(kind.laws)

    def broken(snapshot: Snapshot) -> None:
        assert not snapshot

    law = given(WORLDS)(broken)
    with pytest.raises(AssertionError) as breaks:
        laws.judged(laws.Kind(kind.make, (law,)), "3-0", 3)
    assert breaks.value.__notes__ == ["broken: --seed 3"]

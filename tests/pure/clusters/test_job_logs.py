"""A log that is read in pieces is told once: what the pieces have in common is left out, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from clusters.connection import ClusterConnection
from clusters.job_logs import _Reading
from domain.job import LogPlace

FIRST = ["2026-01-01T00:00:00.5Z one", "2026-01-01T00:00:01.000000001Z two", "2026-01-01T00:00:01.000000001Z two again"]


@pytest.fixture
def nowhere(tmp_path: Path) -> Iterator[ClusterConnection]:
    content = {
        "clusters": [{"name": "it", "cluster": {"server": "http://127.0.0.1:1"}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        "users": [{"name": "it", "user": {}}],
        "current-context": "it",
    }
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(content))
    with closing(ClusterConnection.from_kubeconfig("nowhere", tmp_path / "kubeconfig")) as connection:
        yield connection


@pytest.fixture
def reading(nowhere: ClusterConnection) -> _Reading:
    return _Reading(nowhere, "alpha-0", "it-0", None, None)


def _told(reading: _Reading, *lines: str) -> list[str]:
    return [line.text for line in reading._news(lines)]


def test_what_was_told_before_the_cut_is_not_told_again(reading: _Reading) -> None:
    assert _told(reading, *FIRST) == ["one", "two", "two again"]
    assert reading._query()["sinceTime"] == "2026-01-01T00:00:01.000000001Z"
    assert _told(reading, *FIRST[1:], "2026-01-01T00:00:01.000000002Z three") == ["three"]


def test_a_line_of_the_same_instant_that_came_after_the_cut_is_told(reading: _Reading) -> None:
    assert _told(reading, *FIRST[:2]) == ["one", "two"]
    assert _told(reading, *FIRST[1:]) == ["two again"]


def test_fractions_are_compared_as_numbers_and_zones_as_instants(reading: _Reading) -> None:
    assert _told(reading, "2026-01-01T00:00:00.5Z a") == ["a"]
    assert _told(reading, "2026-01-01T01:00:00.500+01:00 a", "2026-01-01T00:00:00.51Z b") == ["b"]


def test_lines_that_are_out_of_order_in_one_piece_are_all_told(reading: _Reading) -> None:
    assert _told(reading, *reversed(FIRST)) == ["two again", "two", "one"]


def test_a_client_that_comes_back_goes_on_after_its_last_line(nowhere: ClusterConnection) -> None:
    again = _Reading(nowhere, "alpha-0", "it-0", LogPlace("2026-01-01T00:00:00.5Z"), 10)
    assert again._query() == {"timestamps": "true", "sinceTime": "2026-01-01T00:00:00.5Z"}
    assert _told(again, *FIRST) == ["two", "two again"]


def test_a_line_without_a_time_is_told_whole(reading: _Reading) -> None:
    assert _told(reading, "no time here") == ["no time here"]

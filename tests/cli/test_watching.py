from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from uuid import UUID

import pytest

from cli.client import Away, BerthClient
from cli.client.transport import Patience, Transport
from cli.clock import TooLate
from cli.watching import AWAY_SECONDS_MAX, Watch
from tests.builders_cli import SteppingClock, a_gpr_document
from tests.cli.scripted_server import Script, refusal, served

A_GPR = a_gpr_document("active")
AWAY = refusal(503, "ledger_unavailable", "the ledger is away")


@contextmanager
def a_watch(*answers: object) -> Iterator[Watch]:
    script = Script().on(f"GET /berth/v1/gprs/{A_GPR['id']}", *answers)
    with served(script) as url:
        transport = Transport(url, "", patience=Patience(attempts_max=1))
        yield Watch(BerthClient(url, transport=transport), SteppingClock(), UUID(A_GPR["id"]))


def test_watching_ends_with_the_gpr() -> None:
    with a_watch(A_GPR, A_GPR | {"phase": "releasing"}, A_GPR | {"phase": "expired"}) as watch:
        assert [sight.gpr.phase for sight in watch.sights()] == ["active", "releasing", "expired"]


def test_it_looks_twice_a_second_and_no_oftener() -> None:
    with a_watch(A_GPR) as watch:
        list(islice(watch.sights(), 4))
        assert watch.clock.slept == [0.5, 0.5, 0.5]  # type: ignore[attr-defined]


def test_while_the_server_is_away_the_last_sight_is_shown_as_old() -> None:
    with a_watch(A_GPR, AWAY, A_GPR) as watch:
        assert [sight.away for sight in islice(watch.sights(), 3)] == ["", "the ledger is away", ""]


def test_a_server_that_stays_away_ends_it() -> None:
    with a_watch(A_GPR, AWAY) as watch, pytest.raises(Away):
        list(watch.sights())
    assert AWAY_SECONDS_MAX < watch.clock.monotonic() < AWAY_SECONDS_MAX + 2


def test_a_server_that_was_never_seen_is_not_waited_for() -> None:
    with a_watch(AWAY) as watch, pytest.raises(Away):
        list(watch.sights())
    assert watch.clock.monotonic() == 0


def test_what_does_not_come_in_time_is_named() -> None:
    with a_watch(A_GPR) as watch, pytest.raises(TooLate, match="its end did not come within 3 s"):
        list(watch.sights(seconds_max=3))

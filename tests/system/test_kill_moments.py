"""kill -9 at a chosen line: in a pass of the arbiter, and between the commit of a promise or a reservation and its answer.

Afterwards nothing is lost, nothing is granted or promised twice, and what was promised holds.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from cli.client import NewGpr
from domain.gpr import Phase
from tests.system.freedom import left_on_nodes, until
from tests.system.history import EVENTS, double_grants
from tests.system.kill_moments import Barrier, Unanswered, tear_down
from tests.system.one_node import GPUS, STEP_SECONDS_MAX, pool_of_one_node, release_all
from tests.system.steady_stream import BUSY_MAX

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from cli.client import BerthClient, Gpr
    from tests.system.installation import Installation

pytestmark = pytest.mark.timeout(600)

POOL = "killed"
SPACES = ("killed", "killed-beside", "killed-strong")
REQUEST_SECONDS_MAX = 120.0


@pytest.fixture(scope="module")
def native(installation: Installation) -> Iterator[BerthClient]:
    with pool_of_one_node(installation, POOL, SPACES) as native:
        yield native
        tear_down(installation, "lease", "gpr", "reservation")


@pytest.fixture(autouse=True)
def at_rest(installation: Installation, native: BerthClient) -> Iterator[None]:
    """Afterwards everything is free again, and the books are right."""
    yield
    release_all(installation, SPACES)
    assert left_on_nodes(installation) == []
    assert double_grants(installation.tables.rows(EVENTS)) == []


class Request(threading.Thread):
    """One request, sent once: its answer, or that there was none."""

    def __init__(self, installation: Installation, path: str, **body: Any) -> None:
        super().__init__(daemon=True)
        self._url = f"{installation.url}/berth/v1/{path}"
        self._headers = {"Authorization": f"Bearer {installation.key}", "Idempotency-Key": "the-only-one"}
        self._body = body or None
        self.answer: httpx.Response | None = None
        self.start()

    def run(self) -> None:
        try:
            self.answer = httpx.post(
                self._url, headers=self._headers, json=self._body, timeout=REQUEST_SECONDS_MAX, trust_env=False
            )
        except httpx.TransportError:
            return


def _submit(native: BerthClient, workspace: str, duration: str, **wish: Any) -> Gpr:
    fields = {"workspace": workspace, "name": workspace, "duration": duration, "pool": POOL, "gpus_per_node": GPUS}
    return native.submit(NewGpr.model_validate({**fields, **wish}))


def _active(native: BerthClient, gpr_id: UUID) -> Gpr:
    until(lambda: native.gpr(gpr_id).phase is Phase.ACTIVE, "active", STEP_SECONDS_MAX)
    return native.gpr(gpr_id)


def _kinds(native: BerthClient, gpr_id: UUID) -> list[str]:
    return [event.kind for event in native.events(gpr_id)]


def _kill(installation: Installation, part: str, barrier: Barrier, *, when_committed: bool) -> None:
    """At the barrier, or when what waited there is committed, and nobody was told."""
    pid = barrier.await_somebody()
    with ExitStack() as stack:
        if when_committed:
            unanswered = stack.enter_context(Unanswered(installation))
            barrier.take_away()
            unanswered.await_commit(pid)
        installation.stack.kill(part)


# --- a pass of the arbiter ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", ["before its transaction", "in its transaction", "committed and not delivered"])
def test_a_pass_that_is_killed_loses_no_grant_and_makes_none_twice(
    installation: Installation, native: BerthClient, moment: str
) -> None:
    before = moment == "before its transaction"
    barrier = Barrier.before_the_lock(installation) if before else Barrier.before(installation, "insert", "lease")
    with barrier:
        gpr = _submit(native, SPACES[0], "1h")
        _kill(installation, "core", barrier, when_committed=moment == "committed and not delivered")
        seen = native.gpr(gpr.id).phase
    installation.stack.start("core")
    assert seen is (Phase.PROVISIONING if moment == "committed and not delivered" else Phase.QUEUED)
    _active(native, gpr.id)
    assert _kinds(native, gpr.id).count("granted") == 1


# --- a promise ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_committed", [False, True], ids=["in its transaction", "committed and not answered"])
def test_a_promise_whose_answer_was_lost_is_made_once_or_not_at_all_and_holds(
    installation: Installation, native: BerthClient, *, is_committed: bool
) -> None:
    running = _active(native, _submit(native, SPACES[0], "45s").id)
    waiting = _submit(native, SPACES[1], "4s")
    until(lambda: (one := native.gpr(waiting.id).estimate) is not None and one.starts_at, "its start", STEP_SECONDS_MAX)
    with Barrier.before(installation, "update of promised_at", "gpr") as barrier:
        asked = Request(installation, f"gprs/{waiting.id}/promise")
        _kill(installation, "api", barrier, when_committed=is_committed)
    installation.stack.start("api")
    asked.join()
    assert asked.answer is None
    assert (native.gpr(waiting.id).promise is not None) == is_committed
    found, again = native.promise(waiting.id).promise, native.promise(waiting.id).promise
    assert found
    assert found == again
    assert _kinds(native, waiting.id).count("promised") == 1
    _submit(native, SPACES[2], "1h", priority=300)
    until(lambda: native.gpr(waiting.id).phase is Phase.EXPIRED, "its end", STEP_SECONDS_MAX)
    granted = next(event.at for event in native.events(waiting.id) if event.kind == "granted")
    kept = native.gpr(waiting.id).promise
    assert kept
    assert kept.starts_at
    assert (kept.starts_at, kept.moves) == (found.starts_at, 0)
    assert granted <= kept.starts_at + BUSY_MAX
    assert native.gpr(running.id).phase is Phase.EXPIRED


# --- a reservation ------------------------------------------------------------------------------------------------------


def test_a_reservation_whose_answer_was_lost_is_there_once_and_starts_on_time(
    installation: Installation, native: BerthClient
) -> None:
    start = (datetime.now(UTC) + timedelta(seconds=45)).replace(microsecond=0)
    wish = {"workspace": SPACES[0], "name": "lost", "start": start.isoformat(), "duration": "25s", "pool": POOL}
    with Barrier.before(installation, "insert", "reservation") as barrier:
        asked = Request(installation, "reservations", **wish, gpus_per_node=GPUS)
        _kill(installation, "api", barrier, when_committed=True)
    installation.stack.start("api")
    asked.join()
    assert asked.answer is None
    again = Request(installation, "reservations", **wish, gpus_per_node=GPUS)
    again.join()
    assert again.answer is not None
    assert again.answer.status_code == 201, again.answer.text
    (made,) = native.reservations(workspace=SPACES[0])
    assert str(made.id) == again.answer.json()["id"]
    (occurrence,) = made.occurrences
    gpr_id = occurrence.gpr_id
    assert gpr_id
    granted = until(
        lambda: [event.at for event in native.events(gpr_id) if event.kind == "granted"], "its start", STEP_SECONDS_MAX
    )
    assert start <= granted[0] <= start + BUSY_MAX

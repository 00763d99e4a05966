"""Every part of the stack is killed with SIGKILL under a population of Gprs, and the work goes on as if nothing had been."""

from __future__ import annotations

import sys
from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.system.campaign import at_random, each_once, wage
from tests.system.readers import AWAY, SERVED, Readers
from tests.system.rounds import API, API_SERVER, GOES_ON, PARTS, PROGRESS_SECONDS_MAX, dead_parts

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.system.campaign import Campaign
    from tests.system.installation import Installation
    from tests.system.rounds import Round

pytestmark = pytest.mark.timeout(900)

KILLS_IN_A_ROW = 12
LONG_ROUNDS = 5
SEED = 2026


@pytest.fixture(scope="module")
def say(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """The table is for people: it is shown, whatever becomes of the test."""
    capturing = request.config.pluginmanager.getplugin("capturemanager")

    def show(line: str) -> None:
        with capturing.global_and_fixture_disabled():
            sys.stdout.write(f"\n{line}")
            sys.stdout.flush()

    return show


@pytest.fixture(scope="module")
def campaign(installation: Installation, say: Callable[[str], None]) -> Campaign:
    return wage(installation, each_once(), say)


@pytest.fixture
def one(campaign: Campaign, part: str) -> Round:
    return next(done for done in campaign.played if done.kill.part == part)


@pytest.mark.parametrize("part", PARTS)
def test_a_gpr_in_every_phase_goes_on_within_15_seconds_of_the_parts_return(one: Round) -> None:
    assert one.progress.keys() == GOES_ON.keys()
    late = {role: seconds for role, seconds in one.progress.items() if seconds > PROGRESS_SECONDS_MAX}
    assert not late


@pytest.mark.parametrize("part", PARTS)
def test_nothing_is_wrong_in_its_round(one: Round) -> None:
    assert one.complaints == []


def test_without_postgres_the_api_says_503_and_without_the_rest_it_accepts(campaign: Campaign) -> None:
    said = {done.kill.part: done.told for done in campaign.played}
    assert "submit 503" in said["postgres"]
    assert "submit no answer" in said[API]
    assert all("submit 200" in said[part] for part in PARTS if part not in {"postgres", API})


def test_without_a_kubernetes_api_only_what_needs_it_is_refused(campaign: Campaign) -> None:
    said = next(done.told for done in campaign.played if done.kill.part == API_SERVER)
    assert "kubeconfig 503" in said
    assert "list 200" in said


def test_nothing_was_lost(campaign: Campaign) -> None:
    assert campaign.lost == []


def test_nothing_was_held_twice(campaign: Campaign) -> None:
    assert campaign.held_twice == []
    assert min(campaign.looks.values()) >= 10


def test_nothing_was_left_behind(campaign: Campaign) -> None:
    assert campaign.left == []


def test_postgres_killed_again_and_again_under_readers_makes_503_of_it_and_ends_no_process(
    installation: Installation,
) -> None:
    with Readers(installation.egs) as readers:
        for _ in range(KILLS_IN_A_ROW):
            readers.await_served()
            installation.stack.kill("postgres")
            installation.stack.start("postgres")
    assert readers.answers.keys() <= {SERVED, AWAY}
    assert dead_parts(installation) == []


@pytest.mark.long
@pytest.mark.timeout(LONG_ROUNDS * len(PARTS) * 120)
def test_many_rounds_at_random_moments_leave_nothing_wrong(
    installation: Installation, say: Callable[[str], None]
) -> None:
    kills = at_random(Random(SEED), LONG_ROUNDS)
    assert wage(installation, kills, say).complaints == []

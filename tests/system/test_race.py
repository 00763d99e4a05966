"""Twelve workspaces race for the last eight GPUs: never more than eight are held, all come to an end, and nobody was lied to."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.system.book_rules import Outages
from tests.system.checker import complaints_about
from tests.system.freedom import left_in_ledger, left_on_nodes, until
from tests.system.race import GPRS, NODE_GPUS, OVER_SECONDS_MAX, WORKSPACES, Race
from tests.system.stories import ENDS, told

if TYPE_CHECKING:
    from tests.system.installation import Installation
    from tests.system.race import Outcome

pytestmark = pytest.mark.timeout(600)

SEED = 2026
DELETION_SECONDS_MAX = 60.0
LEASES_MIN = 12
"""On a machine that is very busy with other things; on a quiet one there are several times as many."""
SAID = (
    "submitted",
    "shown as Queued Queued",
    "shown as Provisioned",
    "shown as Complete Released",
    "shown as Complete Released earlyRelease",
    "released early",
    "not released early: Queued",
    "not released early: Complete",
    "deleted",
    "not deleted: Successful",
    "moved",
    "not moved",
)
"""Each answer of which the race must have seen some, or it has shown nothing."""


@pytest.fixture(scope="module")
def outcome(installation: Installation, request: pytest.FixtureRequest) -> Outcome:
    outcome = Race(installation, SEED).run()
    capturing = request.config.pluginmanager.getplugin("capturemanager")
    with capturing.global_and_fixture_disabled():
        sys.stdout.write(f"\n{outcome}\n")
    return outcome


def test_never_more_than_eight_are_held_in_the_ledger(outcome: Outcome) -> None:
    assert NODE_GPUS - 1 <= outcome.held_most <= NODE_GPUS


def test_never_more_than_eight_tokens_stand_on_the_node(outcome: Outcome) -> None:
    assert NODE_GPUS / 2 < outcome.tokens_most <= NODE_GPUS
    assert outcome.versions >= outcome.leases >= LEASES_MIN


def test_who_looked_all_the_time_saw_nothing_held_twice(outcome: Outcome) -> None:
    assert outcome.seen == []
    assert outcome.sightings >= 10


def test_all_come_to_an_end_in_time(outcome: Outcome) -> None:
    assert outcome.unfinished == []
    stories = told(outcome.events).stories.values()
    assert len(stories) == GPRS
    assert {story.phase for story in stories} <= ENDS
    assert outcome.seconds < OVER_SECONDS_MAX


def test_every_answer_was_true(outcome: Outcome) -> None:
    assert outcome.replies.claims.untrue(told(outcome.events).stories.values()) == []


def test_every_answer_was_one_that_the_document_knows(outcome: Outcome) -> None:
    assert outcome.replies.strange == []
    assert outcome.replies.away == []


def test_the_race_was_one(outcome: Outcome) -> None:
    counts = outcome.replies.claims.counts
    assert [said for said in SAID if not counts[said]] == []


def test_the_books_and_the_audit_logs_break_no_rule(outcome: Outcome) -> None:
    assert complaints_about(outcome.events, outcome.writes, Outages()) == []


def test_nothing_is_left_of_it(installation: Installation, outcome: Outcome) -> None:
    assert until(lambda: not left_in_ledger(installation), "an empty ledger", DELETION_SECONDS_MAX)
    assert left_on_nodes(installation) == []
    for workspace in WORKSPACES:
        installation.egs.delete_workspace(workspace)
    gone = lambda: not set(WORKSPACES) & set(installation.egs.workspaces())  # noqa: E731
    until(gone, "the end of the workspaces", DELETION_SECONDS_MAX)

"""The short form of the soak: a minute of every EGS call by several tenants, under kills, and then the judge."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.system.soak import Soak, figures

if TYPE_CHECKING:
    from tests.system.installation import Installation
    from tests.system.soak import Verdict

pytestmark = pytest.mark.timeout(600)

SEED = 2026
SECONDS = 60.0
QUESTIONS_MIN = 300
LEASES_MIN = 10
KILLS_MIN = 4


@pytest.fixture(scope="module")
def verdict(installation: Installation, request: pytest.FixtureRequest) -> Verdict:
    began = time.monotonic()
    verdict = Soak(installation, SEED, lambda _: None).go_through(SECONDS, kills_least=KILLS_MIN)
    capturing = request.config.pluginmanager.getplugin("capturemanager")
    with capturing.global_and_fixture_disabled():
        sys.stdout.write("\n".join(["", *figures(verdict, time.monotonic() - began), ""]))
    return verdict


def test_every_answer_was_true(verdict: Verdict) -> None:
    assert verdict.untrue == []


def test_no_rule_was_broken(verdict: Verdict) -> None:
    assert verdict.broken == []


def test_nothing_was_left_behind_and_nothing_ended_by_itself(verdict: Verdict) -> None:
    assert verdict.left == []


def test_there_was_something_to_judge(verdict: Verdict) -> None:
    assert sum(verdict.replies.counts.values()) >= QUESTIONS_MIN
    assert len(verdict.leases) >= LEASES_MIN
    assert verdict.disturbed.total() >= KILLS_MIN
    assert verdict.writes >= LEASES_MIN

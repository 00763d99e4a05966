"""When a lease counts as idle, and what follows from it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.idleness import (
    IS_IDLE,
    Finding,
    GpuUse,
    IdleRule,
    Move,
    PodsSeen,
    Source,
    Step,
    Use,
    Warned,
    judge,
    next_step,
)

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=1)
RULE = IdleRule(Source.INSTALLATION, window_seconds=1800, enforced=True)
NOTHING = GpuUse("n1", 0, 1800.0, NOW - timedelta(seconds=5), 0, 0, 1)

RULES = st.builds(
    IdleRule,
    st.sampled_from(Source),
    st.integers(10, 10_000),
    st.booleans(),
    st.integers(0, 100),
    st.integers(0, 1000),
)
USES = st.builds(
    GpuUse,
    st.just("n1"),
    st.integers(0, 7),
    st.floats(0, 20_000),
    st.none() | st.integers(0, 200).map(lambda ago: NOW - timedelta(seconds=ago)),
    st.none() | st.integers(0, 100),
    st.none() | st.integers(0, 1000),
    st.none() | st.integers(0, 3),
)
FINDINGS = st.lists(st.builds(Finding, RULES, st.sampled_from(Use)), max_size=3)
WARNINGS = st.none() | st.builds(
    Warned,
    st.just(NOW - timedelta(minutes=5)),
    st.none() | st.integers(-300, 300).map(lambda ahead: NOW + timedelta(seconds=ahead)),
)


def judged(*uses: GpuUse, rule: IdleRule = RULE, active_at: datetime = LONG_AGO, pods: PodsSeen | None = None) -> Use:
    return judge(rule, uses, active_at, NOW, pods).use


# --- what readings say ------------------------------------------------------------------------------------------------


def test_nothing_done_for_the_whole_window_is_idle() -> None:
    assert judged(NOTHING, replace(NOTHING, ordinal=1, utilisation_max=2)) is Use.IDLE


def test_not_even_a_process_is_a_reason_of_its_own() -> None:
    untouched = replace(NOTHING, processes_max=0)
    assert judged(untouched, replace(untouched, ordinal=1)) is Use.UNTOUCHED
    assert judged(untouched, NOTHING) is Use.IDLE
    assert judged(untouched, replace(NOTHING, processes_max=None)) is Use.IDLE


@pytest.mark.parametrize("change", [{"utilisation_max": 3}, {"memory_growth_mib": 17}])
def test_one_gpu_that_did_something_keeps_the_lease(change: dict[str, int]) -> None:
    assert judged(NOTHING, replace(NOTHING, ordinal=1, **change)) is Use.IN_USE  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"covered_seconds": 1619.0},
        {"newest_at": NOW - timedelta(seconds=61)},
        {"newest_at": None, "covered_seconds": 0.0, "utilisation_max": None},
    ],
)
def test_what_was_not_seen_is_not_idle(change: dict[str, object]) -> None:
    assert judged(NOTHING, replace(NOTHING, ordinal=1, **change)) is Use.UNKNOWN  # type: ignore[arg-type]


def test_a_lease_younger_than_the_window_is_not_idle() -> None:
    assert judged(NOTHING, active_at=NOW - timedelta(seconds=1799)) is Use.UNKNOWN
    assert judged(NOTHING, active_at=NOW - timedelta(seconds=1800)) is Use.IDLE


def test_a_lease_without_gpus_is_never_idle() -> None:
    assert judged() is Use.UNKNOWN


@given(RULES, st.lists(USES, max_size=4), USES)
def test_one_more_gpu_never_makes_a_lease_idle(rule: IdleRule, uses: list[GpuUse], other: GpuUse) -> None:
    if uses and judged(*uses, rule=rule) not in IS_IDLE:
        assert judged(*uses, other, rule=rule) not in IS_IDLE


@given(RULES, st.lists(USES, min_size=1, max_size=4))
def test_idle_means_seen_and_unused_on_every_gpu(rule: IdleRule, uses: list[GpuUse]) -> None:
    if judged(*uses, rule=rule) in IS_IDLE:
        for use in uses:
            assert use.newest_at is not None
            assert use.covered_seconds >= 0.9 * rule.window_seconds
            assert use.utilisation_max is None or use.utilisation_max <= rule.threshold_percent


# --- what looks at its pods say ---------------------------------------------------------------------------------------

EMPTY = PodsSeen(empty_since=NOW - timedelta(seconds=1830), looked_at=NOW - timedelta(seconds=30))


def test_a_lease_without_a_pod_for_the_whole_window_needs_no_reading() -> None:
    assert judged(pods=EMPTY) is Use.NO_POD
    assert judged(NOTHING, pods=EMPTY) is Use.NO_POD
    assert judged(GpuUse("n1", 0), pods=EMPTY) is Use.NO_POD


def test_what_was_read_to_be_used_is_used_without_a_pod() -> None:
    assert judged(replace(NOTHING, utilisation_max=50), pods=EMPTY) is Use.IN_USE


@pytest.mark.parametrize(
    "pods",
    [
        replace(EMPTY, empty_since=NOW - timedelta(seconds=1829)),
        replace(EMPTY, looked_at=NOW - timedelta(seconds=151)),
        replace(EMPTY, empty_since=EMPTY.looked_at),
        None,
    ],
)
def test_what_was_not_looked_at_for_the_whole_window_is_not_known_to_be_without_a_pod(pods: PodsSeen | None) -> None:
    assert judged(pods=pods) is Use.UNKNOWN


def test_the_time_before_a_lease_was_active_does_not_count_against_it() -> None:
    assert judged(pods=EMPTY, active_at=NOW - timedelta(seconds=1829)) is Use.UNKNOWN


def test_a_lease_without_a_pod_is_released_only_when_a_look_was_as_late_as_that() -> None:
    release_at = NOW - timedelta(seconds=20)
    early = Finding(RULE, Use.NO_POD, known_to=release_at - timedelta(seconds=1))
    warned = Warned(NOW - timedelta(minutes=6), release_at)
    assert next_step([early], warned, NOW) == Step(Move.NOTHING)
    late = replace(early, known_to=release_at)
    assert next_step([early, late], warned, NOW) == Step(Move.RELEASE, release_at, late)


# --- what follows -----------------------------------------------------------------------------------------------------


def test_who_is_idle_is_warned_first_and_released_when_the_warning_has_run_out() -> None:
    finding = Finding(RULE, Use.IDLE)
    release_at = NOW + timedelta(seconds=RULE.warning_seconds)
    assert next_step([finding], None, NOW) == Step(Move.WARN, release_at, finding)
    warned = Warned(NOW, release_at)
    assert next_step([finding], warned, release_at - timedelta(seconds=1)) == Step(Move.NOTHING)
    assert next_step([finding], warned, release_at).move is Move.RELEASE


@pytest.mark.parametrize("use", [Use.IN_USE, Use.UNKNOWN])
def test_use_after_the_warning_is_an_appeal_and_so_is_not_knowing(use: Use) -> None:
    warned = Warned(NOW - timedelta(hours=1), NOW - timedelta(minutes=1))
    assert next_step([Finding(RULE, use)], warned, NOW) == Step(Move.WITHDRAW)
    assert next_step([Finding(RULE, use)], None, NOW) == Step(Move.NOTHING)


def test_an_owner_cannot_switch_an_administrators_rule_off() -> None:
    own = IdleRule(Source.OWNER, window_seconds=86_400, enforced=False)
    step = next_step([Finding(RULE, Use.IDLE), Finding(own, Use.IN_USE)], None, NOW)
    assert (step.move, step.release_at) == (Move.WARN, NOW + timedelta(seconds=300))


def test_of_two_rules_the_one_that_leaves_less_time_counts() -> None:
    strict = replace(RULE, source=Source.OWNER, warning_seconds=60)
    step = next_step([Finding(RULE, Use.IDLE), Finding(strict, Use.IDLE)], None, NOW)
    assert step.release_at == NOW + timedelta(seconds=60)


def test_a_rule_that_only_warns_warns_once_and_ends_nothing() -> None:
    finding = Finding(replace(RULE, enforced=False), Use.IDLE)
    assert next_step([finding], None, NOW) == Step(Move.WARN, None, finding)
    assert next_step([finding], Warned(NOW, None), NOW + timedelta(days=9)).move is Move.NOTHING


def test_a_rule_that_is_enforced_since_the_warning_warns_again_before_it_ends_anything() -> None:
    step = next_step([Finding(RULE, Use.IDLE)], Warned(LONG_AGO, None), NOW)
    assert (step.move, step.release_at) == (Move.WARN, NOW + timedelta(seconds=300))


def test_a_rule_that_is_enforced_no_more_ends_nothing_and_people_hear_of_it() -> None:
    relaxed = Finding(replace(RULE, enforced=False), Use.IDLE)
    assert next_step([relaxed], Warned(LONG_AGO, LONG_AGO), NOW) == Step(Move.WARN, None, relaxed)


@given(FINDINGS, WARNINGS)
def test_nothing_is_released_without_a_warning_that_has_run_out(findings: list[Finding], warned: Warned | None) -> None:
    step = next_step(findings, warned, NOW)
    if step.move is Move.RELEASE:
        assert warned is not None
        assert warned.release_at is not None
        assert warned.release_at <= NOW
        assert any(finding.use in IS_IDLE and finding.rule.enforced for finding in findings)


@given(FINDINGS, WARNINGS)
def test_a_step_that_was_taken_is_not_taken_again(findings: list[Finding], warned: Warned | None) -> None:
    step = next_step(findings, warned, NOW)
    if step.move is Move.WARN and (step.release_at is None or step.release_at > NOW):
        assert next_step(findings, Warned(NOW, step.release_at), NOW).move is Move.NOTHING
    if step.move is Move.WITHDRAW:
        assert next_step(findings, None, NOW).move is Move.NOTHING

"""Maintenance on the whole stack, with short times: what runs stays, nothing new comes, and at its end the node is used at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from cli.client import NewGpr, NewMaintenance, Refused
from cli.client.foresight import ExtensionWish
from domain.gpr import Phase
from tests.system.freedom import until
from tests.system.one_node import CLUSTER, GPUS, NODE, STEP_SECONDS_MAX, pool_of_one_node

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.client import BerthClient, Gpr, Maintenance
    from tests.system.installation import Installation

pytestmark = pytest.mark.timeout(400)

POOL = "upgraded"
SPACES = ("maintained", "maintained-long", "maintained-short")
AHEAD, LENGTH = timedelta(seconds=25), timedelta(seconds=30)
LATE_MAX = timedelta(seconds=15)
"""From its end to the next grant: one look of the arbiter without a kick would take up to twenty."""


@pytest.fixture(scope="module")
def native(installation: Installation) -> Iterator[BerthClient]:
    with pool_of_one_node(installation, POOL, SPACES) as native:
        yield native


@pytest.fixture(scope="module")
def stays(native: BerthClient) -> Gpr:
    """Runs past the begin of the maintenance, and its end is within it."""
    gpr = native.submit(_wish(SPACES[0], "stays", "40s"))
    until(lambda: native.gpr(gpr.id).phase is Phase.ACTIVE, "the lease that stays", STEP_SECONDS_MAX)
    return native.gpr(gpr.id)


@pytest.fixture(scope="module")
def announced(native: BerthClient, stays: Gpr) -> Maintenance:
    begin = datetime.now(UTC) + AHEAD
    made = native.announce_maintenance(NewMaintenance(name="drivers", begin=begin, end=begin + LENGTH, pools=[POOL]))
    assert made.staying == [stays.name]
    return made


@pytest.fixture(scope="module")
def waits(native: BerthClient, announced: Maintenance) -> Gpr:
    """Asked for when all is announced: there is no room for it before."""
    return native.submit(_wish(SPACES[1], "waits", "5s"))


def _wish(workspace: str, name: str, duration: str) -> NewGpr:
    return NewGpr(workspace=workspace, name=name, duration=duration, gpus_per_node=GPUS, pool=POOL)


def test_what_waits_is_told_the_end_of_the_maintenance(native: BerthClient, announced: Maintenance, waits: Gpr) -> None:
    def told() -> bool:
        estimate = native.gpr(waits.id).estimate
        return estimate is not None and estimate.starts_at == announced.end and "'drivers'" in estimate.reason

    until(told, "the estimate", STEP_SECONDS_MAX)


def test_what_runs_is_not_extended_into_it(native: BerthClient, announced: Maintenance, stays: Gpr) -> None:
    with pytest.raises(Refused, match=f"maintenance '{announced.name}'"):
        native.extend(stays.id, ExtensionWish(seconds=60))


def test_what_runs_past_its_begin_stays_until_its_own_end(
    native: BerthClient, announced: Maintenance, stays: Gpr
) -> None:
    until(lambda: native.gpr(stays.id).ended, "the end of the lease", STEP_SECONDS_MAX)
    ended = native.gpr(stays.id)
    assert (ended.phase, ended.end_at) == (Phase.EXPIRED, stays.end_at)
    assert ended.end_at
    assert announced.begin < ended.end_at < announced.end
    assert {node.state for node in native.nodes() if node.name == NODE} == {"cordoned"}


def test_the_next_starts_when_it_is_over_and_not_before(
    native: BerthClient, announced: Maintenance, waits: Gpr
) -> None:
    until(lambda: native.gpr(waits.id).phase is not Phase.QUEUED, "the grant", STEP_SECONDS_MAX)
    granted = next(event.at for event in native.events(waits.id) if event.kind == "granted")
    assert announced.end <= granted <= announced.end + LATE_MAX
    until(lambda: native.gpr(waits.id).phase is Phase.EXPIRED, "its end", STEP_SECONDS_MAX)


def test_ended_early_its_node_is_used_at_once(native: BerthClient, waits: Gpr) -> None:
    until(lambda: native.gpr(waits.id).ended, "the end of the one before", STEP_SECONDS_MAX)
    now = datetime.now(UTC)
    native.announce_maintenance(
        NewMaintenance(name="cables", begin=now, end=now + timedelta(hours=1), nodes=[f"{CLUSTER}/{NODE}"])
    )
    gpr = native.submit(_wish(SPACES[2], "early", "5s"))
    until(lambda: (one := native.gpr(gpr.id).estimate) is not None and one.reason, "its reason", STEP_SECONDS_MAX)
    assert native.end_maintenance("cables").state == "over"
    until(lambda: native.gpr(gpr.id).phase is Phase.EXPIRED, "its lease", STEP_SECONDS_MAX)

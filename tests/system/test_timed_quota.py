"""A quota that is larger for a while, on the whole stack: a request starts when that begins, as forecast, and afterwards none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from cli.client import NewGpr, NewWorkspace
from cli.client.sharing import DepartmentSetting, NewDepartment, NewOverride, WorkspaceQuotaSetting
from domain.gpr import Phase
from domain.shares import Scope
from domain.workspace import WorkspacePhase
from tests.system.freedom import left_in_ledger, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.client import Gpr
    from cli.client.sharing import QuotaOverride
    from tests.system.installation import Installation

pytestmark = pytest.mark.timeout(300)

CLUSTER, SHAPE, SPACE, DEPARTMENT = "worker-1", "Tesla-T4", "timed-quota", "timed"
AHEAD = timedelta(seconds=30)
LENGTH = timedelta(seconds=75)
STEP_SECONDS_MAX = 120.0
LATE_MAX = timedelta(seconds=15)
"""From the instant at which the limit changes to the grant: a look of the arbiter that nobody woke would take up to twenty."""
LATEST = timedelta(seconds=2)
"""By how much an estimate that is shown may differ from what the plan says."""


@pytest.fixture(scope="module")
def override(installation: Installation) -> Iterator[QuotaOverride]:
    """One GPU for a while, of a workspace that usually has none; its department has one at any time."""
    native = installation.native
    native.create_workspace(NewWorkspace(name=SPACE, clusters=[CLUSTER], namespaces=[SPACE]))
    native.create_department(NewDepartment(name=DEPARTMENT))
    until(lambda: native.workspace(SPACE).phase is WorkspacePhase.READY, SPACE, STEP_SECONDS_MAX)
    native.assign(SPACE, DEPARTMENT)
    native.set_department(DEPARTMENT, DepartmentSetting(gpus=1, ceiling=1))
    native.set_workspace_quota(SPACE, WorkspaceQuotaSetting(gpus=0))
    begin = datetime.now(UTC) + AHEAD
    yield native.set_quota_override(
        NewOverride(scope=Scope.WORKSPACE, name=SPACE, gpus=1, begin=begin, end=begin + LENGTH)
    )
    for gpr in native.gprs(workspace=SPACE, phases=[Phase.QUEUED, Phase.PROVISIONING, Phase.ACTIVE]):
        native.release(gpr.id)
    until(lambda: not left_in_ledger(installation), "an empty ledger", STEP_SECONDS_MAX)
    native.assign(SPACE, "default")
    native.delete_workspace(SPACE)
    native.delete_department(DEPARTMENT)


def test_a_request_starts_when_the_override_begins_as_forecast(
    installation: Installation, override: QuotaOverride
) -> None:
    gpr = _estimated(installation, _submitted(installation, "in-time", "6s"))
    assert gpr.estimate
    assert gpr.estimate.starts_at
    assert abs(gpr.estimate.starts_at - override.begin) <= LATEST
    assert f"the quota of workspace {SPACE}, 0 GPUs: 0 until" in gpr.estimate.reason
    until(lambda: installation.native.gpr(gpr.id).ended, "the lease's end", STEP_SECONDS_MAX)
    granted_at = next(event.at for event in installation.native.events(gpr.id) if event.kind == "granted")
    assert override.begin <= granted_at <= override.begin + LATE_MAX


def test_what_would_outlast_the_override_is_told_how_long_it_is(
    installation: Installation, override: QuotaOverride
) -> None:
    gpr = _estimated(installation, _submitted(installation, "too-long", "1h"))
    assert gpr.estimate
    assert gpr.estimate.starts_at is None
    assert "or for longer: it is 1" in gpr.estimate.reason
    installation.native.release(gpr.id)


def test_when_the_override_has_ended_nothing_starts_any_more_except_what_borrows(
    installation: Installation, override: QuotaOverride
) -> None:
    native = installation.native
    until(lambda: datetime.now(UTC) > override.end, "the override's end", STEP_SECONDS_MAX)
    assert native.quota_overrides() == [] or override.id not in {one.id for one in native.quota_overrides()}
    assert override.id in {one.id for one in native.quota_overrides(past=True)}
    late = _estimated(installation, _submitted(installation, "too-late", "5s"))
    assert late.estimate
    assert (late.phase, late.estimate.starts_at) == (Phase.QUEUED, None)
    assert "if it could be preempted, it could start at once" in late.estimate.reason
    native.release(late.id)
    borrowing = _submitted(installation, "borrows", "10m", preemptible=True)
    until(lambda: native.gpr(borrowing.id).active_at, "the lease that borrows", STEP_SECONDS_MAX)
    assert native.workspace_quota(SPACE).held.preemptible == 1


def _submitted(installation: Installation, name: str, duration: str, **changes: bool) -> Gpr:
    wanted = NewGpr(workspace=SPACE, name=name, duration=duration, shape=SHAPE, gpus_per_node=1, **changes)
    return installation.native.submit(wanted)


def _estimated(installation: Installation, gpr: Gpr) -> Gpr:
    """As it is shown once it was looked at."""

    def shown() -> Gpr | None:
        found = installation.native.gpr(gpr.id)
        return found if found.estimate and found.estimate.reason else None

    found: Gpr = until(shown, "an estimate", STEP_SECONDS_MAX)
    return found

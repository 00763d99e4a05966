"""Who counts against which limit: namespaces, workspaces, departments, people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from arbitration.limits import InForce, Limits
from domain.limits import Amounts
from domain.shares import Allowance, Override, Scope
from ledger.shares import ShareInForce, UserInForce
from planner.snapshot import UNLIMITED, Limit

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
ANN = str(uuid4())
WORKSPACE = uuid4()
ID = str(WORKSPACE)
NOTHING = Allowance()


def a_share(allowance: Allowance = NOTHING, of_department: Allowance = NOTHING) -> ShareInForce:
    return ShareInForce(ID, "vision", allowance, "research", of_department)


def an_override(scope: Scope, name: str, allowance: Allowance) -> Override:
    """From one o'clock until two."""
    owner = None if scope is Scope.DEPARTMENT else WORKSPACE
    span = (NOON + timedelta(hours=1), NOON + timedelta(hours=2))
    return Override(uuid4(), scope, name, owner, "", allowance, *span, "", "root", NOON)


def limits(*shares: ShareInForce, overrides: tuple[Override, ...] = (), **namespaces: Amounts) -> Limits:
    users = (UserInForce(ANN, "ann", 5),)
    return Limits(InForce({ID: namespaces} if namespaces else {}, shares, users, overrides), NOON)


def by_key(found: Limits) -> dict[str, Limit]:
    return {limit.key: limit for limit in found.all()}


def kinds(uses: tuple[tuple[str, int], ...]) -> set[str]:
    return {key.replace(ID, "ws") for key, _ in uses}


def test_what_cannot_be_preempted_counts_against_quota_and_ceiling_of_both() -> None:
    found = limits(a_share(Allowance(4, 6), Allowance(8, 9)))
    uses = found.uses(ID, "ns", Amounts(2), ANN)
    expected = {
        f"{holder}/{which}" for holder in ("workspace/ws", "department/research") for which in ("guaranteed", "ceiling")
    }
    assert kinds(uses) == expected | {f"user/{ANN}"}
    assert {amount for _, amount in uses} == {2}


def test_what_can_be_preempted_counts_against_no_guarantee() -> None:
    found = limits(a_share(Allowance(4, 6), Allowance(8, 9)))
    uses = found.uses(ID, "ns", Amounts(2), ANN, preemptible=True)
    assert kinds(uses) == {"workspace/ws/ceiling", "department/research/ceiling", f"user/{ANN}"}


def test_what_is_guaranteed_to_a_workspace_and_its_department_is_known_by_key_whether_or_not_it_is_limited() -> None:
    keys = (f"workspace/{ID}/guaranteed", "department/research/guaranteed")
    assert limits(a_share()).guarantees(ID) == keys
    found = by_key(limits(a_share(Allowance(4), Allowance(8))))
    assert [found[key].total for key in keys] == [4, 8]
    stranger = str(uuid4())
    assert limits(a_share()).guarantees(stranger) == (f"workspace/{stranger}/guaranteed",)


def test_only_what_is_limited_is_counted() -> None:
    found = limits(a_share(Allowance(4)), one=Amounts(gpus=3), two=Amounts(cpu_millis=5))
    assert kinds(found.uses(ID, "one", Amounts(1, 7, 9))) == {"ws/one/gpus", "workspace/ws/guaranteed"}
    assert kinds(found.uses(ID, "", Amounts(1, 7, 9))) == {
        "ws/one/gpus",
        "ws/two/cpu_millis",
        "workspace/ws/guaranteed",
    }
    assert found.uses(ID, "", Amounts(0, 0, 0), ANN) == ()
    assert found.uses(str(uuid4()), "", Amounts(1), "") == ()


def test_limits_are_named_for_people_and_only_guarantees_are_guarantees() -> None:
    found = by_key(limits(a_share(Allowance(4, 6), Allowance(1)), one=Amounts(gpus=3)))
    spoken = {limit.spoken for limit in found.values()}
    assert spoken == {
        "the quota of namespace one, 3 GPUs",
        "the quota of workspace vision, 4 GPUs",
        "the ceiling of workspace vision, 6 GPUs",
        "the quota of department research, 1 GPU",
        "the ceiling of user ann, 5 GPUs",
    }
    assert {key.replace(ID, "ws") for key, limit in found.items() if limit.guaranteed} == {
        "workspace/ws/guaranteed",
        "department/research/guaranteed",
    }


def test_an_override_changes_a_limit_from_its_begin_until_its_end() -> None:
    override = an_override(Scope.WORKSPACE, "vision", Allowance(8))
    limit = by_key(limits(a_share(Allowance(4)), overrides=(override,)))[f"workspace/{ID}/guaranteed"]
    assert (limit.total, limit.changes) == (4, ((override.begins_at, 8), (override.ends_at, 4)))


def test_what_is_limited_only_for_a_while_is_limited_only_then() -> None:
    overrides = (
        an_override(Scope.NAMESPACE, "one", Allowance(1)),
        an_override(Scope.DEPARTMENT, "research", Allowance(None, 2)),
    )
    made = limits(a_share(), overrides=overrides)
    found = by_key(made)
    first, last = overrides[0].begins_at, overrides[0].ends_at
    namespace, department = found[f"{ID}/one/gpus"], found["department/research/ceiling"]
    assert (namespace.total, namespace.changes) == (UNLIMITED, ((first, 1), (last, UNLIMITED)))
    assert (department.total, department.changes) == (UNLIMITED, ((first, 2), (last, UNLIMITED)))
    assert namespace.spoken == "the quota of namespace one"
    assert kinds(made.uses(ID, "", Amounts(1))) == {"ws/one/gpus", "department/research/ceiling"}

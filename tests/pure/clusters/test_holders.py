from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from clusters.holders import (
    asked_count,
    asks_for_leased_gpus,
    deletion_is_due,
    gpus_held_beside,
    grace_of,
    holder,
    quantity_count,
)
from tests.builders_clusters import GPU, TOKEN, Json, a_bound_pod, a_container, a_pod, a_template

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


def _ago(seconds: int) -> str:
    return (NOW - timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize(("text", "count"), [("8", 8), (8, 8), (None, 0), ("2k", 2000)])
def test_counts_are_read_as_kubernetes_writes_them(text: object, count: int) -> None:
    assert quantity_count(text) == count


def test_a_pod_takes_its_containers_and_sidecars_together_or_its_largest_init_container() -> None:
    sidecar = {**a_container(gpus=1), "restartPolicy": "Always"}
    spec = a_pod(containers=[a_container(gpus=1), a_container(gpus=2)], initContainers=[sidecar])["spec"]
    assert asked_count(spec, GPU) == 4
    spec["initContainers"].append(a_container(gpus=6))
    assert asked_count(spec, GPU) == 6


@pytest.mark.parametrize("phase", ["Running", "Pending", "Unknown"])
def test_a_pod_on_a_node_holds_its_gpus_until_its_containers_have_ended(phase: str) -> None:
    found = holder(a_bound_pod(phase=phase), TOKEN, NOW)
    assert found is not None
    assert (found.namespace, found.name, found.phase, found.stuck_reason) == ("alpha-0", "worker", phase, "")


def test_a_holder_says_in_a_line_what_it_is_and_why_it_stays() -> None:
    assert str(holder(a_bound_pod(deletionTimestamp=_ago(40)), TOKEN, NOW)) == (
        "alpha-0/worker (Running) should have gone 40 s ago: its containers have not ended"
    )
    assert str(holder(a_bound_pod(), TOKEN, NOW)) == "alpha-0/worker (Running) has not gone yet"


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_that_has_ended_holds_nothing(phase: str) -> None:
    assert holder(a_bound_pod(phase=phase), TOKEN, NOW) is None


def test_a_pod_called_failed_while_a_container_runs_still_holds() -> None:
    pod = a_bound_pod()
    pod["status"]["phase"] = "Failed"
    assert holder(pod, TOKEN, NOW)


def test_a_record_kept_by_a_finalizer_holds_nothing_once_the_containers_have_ended() -> None:
    pod = a_bound_pod(deletionTimestamp=_ago(60), finalizers=["example.org/held"])
    assert holder(pod, TOKEN, NOW)
    pod["status"]["containerStatuses"][0]["state"] = {"terminated": {"exitCode": 0}}
    assert holder(pod, TOKEN, NOW) is None


def test_a_pod_whose_container_restarts_still_holds() -> None:
    pod = a_bound_pod()
    pod["status"]["containerStatuses"][0]["state"] = {"terminated": {"exitCode": 1}}
    assert holder(pod, TOKEN, NOW)


def test_a_pod_of_another_lease_is_no_holder_of_this_one() -> None:
    assert holder(a_bound_pod(key="beta-1.berth.io/gpu"), TOKEN, NOW) is None


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"deletionTimestamp": _ago(5)}, ""),
        ({"deletionTimestamp": _ago(40)}, "should have gone 40 s ago: its containers have not ended"),
        (
            {"deletionTimestamp": _ago(40), "finalizers": ["example.org/held"]},
            "should have gone 40 s ago: held by finalizers example.org/held",
        ),
    ],
)
def test_a_pod_is_stuck_some_seconds_after_its_grace_and_says_by_what(metadata: Json, reason: str) -> None:
    found = holder(a_bound_pod(**metadata), TOKEN, NOW)
    assert found is not None
    assert found.stuck_reason == reason


@pytest.mark.parametrize(("own", "given"), [(None, 30), (5, 5), (3600, 60), (0, 1)])
def test_a_pod_has_its_own_grace_within_the_budget_and_is_never_forced(own: int | None, given: int) -> None:
    assert grace_of({"spec": {"terminationGracePeriodSeconds": own}}, 60) == given


def test_a_pod_is_told_to_go_once_and_again_only_to_go_sooner() -> None:
    assert deletion_is_due(a_bound_pod(), 30)
    going = a_bound_pod(deletionTimestamp=_ago(0), deletionGracePeriodSeconds=30)
    assert not deletion_is_due(going, 30)
    assert deletion_is_due(going, 10)


def test_a_template_uses_the_lease_when_it_asks_for_gpus_and_no_other_leases_tokens() -> None:
    spec = a_template(gpus=2)["spec"]
    assert asks_for_leased_gpus(spec, TOKEN)
    spec["containers"][0]["resources"]["limits"]["job-7.berth.io/gpu"] = "2"
    assert not asks_for_leased_gpus(spec, TOKEN)
    assert not asks_for_leased_gpus(a_template(gpus=0)["spec"], TOKEN)


def test_a_template_that_names_no_token_uses_its_workspaces_and_never_a_jobs() -> None:
    spec = a_template(gpus=2)["spec"]
    assert not asks_for_leased_gpus(spec, "lease-7.berth.io/gpu")
    spec["containers"][0]["resources"]["limits"]["lease-7.berth.io/gpu"] = "2"
    assert asks_for_leased_gpus(spec, "lease-7.berth.io/gpu")
    assert not asks_for_leased_gpus(spec, TOKEN)


BETA = "beta-1.berth.io/gpu"


def test_gpus_beside_a_lease_are_other_leases_tokens_or_their_stuck_pods_and_strangers() -> None:
    stuck, ours = a_bound_pod(key=BETA, count=3), a_bound_pod(count=2)
    stranger = a_bound_pod()
    del stranger["spec"]["containers"][0]["resources"]["limits"][TOKEN]
    assert gpus_held_beside(TOKEN, [ours], {TOKEN: 4}) == 0
    assert gpus_held_beside(TOKEN, [ours, stuck, stranger], {TOKEN: 4}) == 4
    assert gpus_held_beside(TOKEN, [stuck], {BETA: 2}) == 3
    assert gpus_held_beside(TOKEN, [stuck], {BETA: 4}) == 4


def test_gpus_of_pods_that_have_ended_are_free() -> None:
    assert gpus_held_beside(TOKEN, [a_bound_pod(key=BETA, phase="Succeeded")], {}) == 0

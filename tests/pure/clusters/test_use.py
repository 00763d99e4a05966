"""When pods were last known to be on a lease's GPUs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from clusters.use import last_used

KEY = "team-a.berth.io/gpu"
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
CREATED = NOW - timedelta(hours=2)
ENDED = NOW - timedelta(minutes=20)

Json = dict[str, Any]


def a_pod_of(key: str = KEY, *, phase: str = "Running", ended_at: datetime | None = None) -> Json:
    state: Json = {"terminated": {"finishedAt": spoken(ended_at)}} if ended_at else {"running": {}}
    return {
        "metadata": {"name": "p", "namespace": "n", "creationTimestamp": spoken(CREATED)},
        "spec": {"containers": [{"name": "main", "resources": {"limits": {"nvidia.com/gpu": "1", key: "1"}}}]},
        "status": {"phase": phase, "containerStatuses": [{"state": state}]},
    }


def spoken(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def test_a_pod_that_has_not_ended_uses_them_now() -> None:
    assert last_used([a_pod_of(phase="Pending"), a_pod_of(phase="Succeeded", ended_at=ENDED)], KEY, NOW) == NOW


def test_pods_that_have_ended_used_them_until_the_end_of_the_last_one() -> None:
    before = ENDED - timedelta(minutes=5)
    pods = [a_pod_of(phase="Succeeded", ended_at=ENDED), a_pod_of(phase="Failed", ended_at=before)]
    assert last_used(pods, KEY, NOW) == ENDED


def test_a_pod_of_which_no_end_is_known_counts_to_the_last_thing_that_happened_to_it() -> None:
    evicted = a_pod_of(phase="Failed")
    evicted["status"] = {"phase": "Failed"}
    assert last_used([evicted], KEY, NOW) == CREATED
    evicted["status"]["conditions"] = [{"type": "DisruptionTarget", "lastTransitionTime": spoken(ENDED)}]
    assert last_used([evicted], KEY, NOW) == ENDED


def test_an_end_by_a_clock_that_is_ahead_is_now() -> None:
    assert last_used([a_pod_of(phase="Succeeded", ended_at=NOW + timedelta(minutes=3))], KEY, NOW) == NOW


def test_pods_of_others_and_pods_without_gpus_use_nothing_of_it() -> None:
    bare = a_pod_of()
    bare["spec"]["containers"][0]["resources"] = {}
    assert last_used([a_pod_of("team-b.berth.io/gpu"), bare], KEY, NOW) is None

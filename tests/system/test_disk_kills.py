"""Parts are killed with SIGKILL while disks are copied, attached, renamed and deleted: no data is lost, nothing is left."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import pytest

from tests.system.freedom import left_in_ledger, left_of_disks, until
from tests.system.gpudev import GpuDev, logged_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.system.installation import Installation

pytestmark = pytest.mark.timeout(300)

AWAY_SECONDS = 2.0
COPY_SECONDS = 2
COPIES_TAKE_THEIR_TIME = {"kwok.berth.io/snapshot-delay": f"{COPY_SECONDS}s"}
SECONDS_MAX = 90.0
OF_CLUSTERS: Final = ("cluster-{}", "{}.kube-apiserver", "{}.snapshot-controller")
PARTS: Final = ("core", "temporal", "postgres", *OF_CLUSTERS)
MOMENTS: Final = {"leaves": 0.2, "is-copied": 1.5, "is-let-go": 1.0 + COPY_SECONDS}
"""What a kill finds done to a disk, and how long before it the disk's box was ended."""
NAMESPACE: Final = "select namespace from job where gpr_id = '{}'"


@pytest.fixture(scope="module")
def user(installation: Installation) -> Iterator[GpuDev]:
    user = logged_in(installation.url, "killed")
    box = user.submit()
    user.comes_to(box, "active", SECONDS_MAX)
    (row,) = installation.tables.rows(NAMESPACE.format(box))
    for cluster in installation.clusters():
        patch = {"metadata": {"annotations": COPIES_TAKE_THEIR_TIME}}
        cluster.merge(f"/api/v1/namespaces/{row['namespace']}", patch)
    user.cancel(box)
    yield user
    user.close()


@pytest.mark.parametrize("part", PARTS)
def test_disks_outlive_the_death_of_any_part_at_any_moment(installation: Installation, user: GpuDev, part: str) -> None:
    boxes = {disk: user.submit(disk_name=disk, env_vars={"GPU_TYPE": "a100"}) for disk in MOMENTS}
    for box in boxes.values():
        user.comes_to(box, "active", SECONDS_MAX)
    copies = {disk: user.disk(disk)["snapshot_count"] for disk in MOMENTS}
    end_one_after_the_other(user, boxes)
    kill(installation, part)
    for disk in MOMENTS:
        until(lambda disk=disk: is_at_rest(user, disk), f"{disk}, copied", SECONDS_MAX)  # type: ignore[misc]
    until(lambda: not left_of_disks(installation), f"order after {part}", SECONDS_MAX)
    assert {disk: user.disk(disk)["snapshot_count"] for disk in MOMENTS} == {
        disk: min(count + 1, 3) for disk, count in copies.items()
    }


def test_an_attachment_a_rename_and_a_deletion_outlive_the_death_of_the_workers(
    installation: Installation, user: GpuDev
) -> None:
    attached, renamed, deleted = MOMENTS
    box = user.submit(disk_name=attached, env_vars={"GPU_TYPE": "a100"})
    kill(installation, "cluster-{}")
    user.comes_to(box, "active", SECONDS_MAX)
    renaming = user.ask("POST", f"/disks/{renamed}/rename", {"new_name": "another"})
    deletion = user.ask("DELETE", f"/disks/{deleted}")
    kill(installation, "core")
    assert renaming["snapshots_updated"] == user.disk("another")["snapshot_count"] > 0
    assert user.operation(deletion)["status"] == "completed"
    user.cancel(box)
    until(lambda: is_at_rest(user, attached), "its copy", SECONDS_MAX)
    until(lambda: not left_of_disks(installation), "order", SECONDS_MAX)
    until(lambda: not left_in_ledger(installation), "an empty ledger", SECONDS_MAX)


def end_one_after_the_other(user: GpuDev, boxes: dict[str, str]) -> None:
    """So that the last one has left them all where the moments say."""
    begun = time.monotonic()
    longest = max(MOMENTS.values())
    for disk, seconds in sorted(MOMENTS.items(), key=lambda one: -one[1]):
        time.sleep(max(0.0, begun + longest - seconds - time.monotonic()))
        user.cancel(boxes[disk])
    time.sleep(max(0.0, begun + longest - time.monotonic()))


def kill(installation: Installation, part: str) -> None:
    """A part of a cluster dies in every cluster."""
    names = [part.format(cluster) for cluster in installation.stack.clusters()] if part in OF_CLUSTERS else [part]
    for name in names:
        installation.stack.kill(name)
    time.sleep(AWAY_SECONDS)
    for name in names:
        installation.stack.start(name)


def is_at_rest(user: GpuDev, disk: str) -> bool:
    seen = user.disk(disk)
    return not seen["in_use"] and not seen["is_backing_up"]

"""Dev boxes and disks on the whole stack: the document's own script, a box from its queue to its snapshot, every rule of disks."""

from __future__ import annotations

import base64
import json
import os
import stat
import subprocess
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from tests.api.sts_server import ROLE
from tests.system.book_rules import Outages, a_disk_has_one_lease
from tests.system.egs import Refusal
from tests.system.freedom import CLAIMS, DISK_LABEL, SNAPSHOTS, left_in_ledger, left_of_disks, left_of_jobs, until
from tests.system.gpudev import GpuDev, logged_in
from tests.system.outside import credentials, public_key
from tests.system.stories import HISTORY, told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clusters.connection import ClusterConnection
    from tests.system.installation import Installation

pytestmark = pytest.mark.timeout(180)

Json = dict[str, Any]

QUICK_START = Path(__file__).parent / "quick_start.sh"


@pytest.fixture(scope="module")
def ada(installation: Installation) -> Iterator[GpuDev]:
    user = logged_in(installation.url, "ada")
    yield user
    for row in user.ask("GET", "/jobs", status="pending,queued,preparing,active")["jobs"]:
        user.cancel(row["job_id"])
    user.close()


# --- the document's script --------------------------------------------------------------------------------------------


def test_the_documented_quick_start_runs_with_only_its_address_changed(
    installation: Installation, tmp_path: Path
) -> None:
    given = credentials("quick-start")
    command = tmp_path / "cloud_corp"
    lines = [f"echo export {name.upper()}={value}" for name, value in given.items()]
    command.write_text("\n".join(["#!/bin/sh", f'[ "$5" = {ROLE} ] || exit 1', *lines, ""]))
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "API_URL": installation.url}
    ran = subprocess.run(
        ["bash", str(QUICK_START)], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    first, second, *rest = ran.stdout.splitlines()
    box = json.loads("\n".join(rest))
    assert first.startswith("API Key: ")
    assert len(first) == len("API Key: 12345678...")
    assert second == f"Job ID: {box['job_id']}"
    assert (box["instance_type"], box["duration_hours"]) == ("p5.48xlarge", 4)
    assert box["status"] in {"pending", "queued", "preparing", "active"}
    installation.native.release(box["job_id"])


# --- a box, from its queue to its snapshot ----------------------------------------------------------------------------


def test_a_box_with_a_disk_from_its_queue_to_its_snapshot_and_the_next_one(
    ada: GpuDev, installation: Installation
) -> None:
    job_id = str(uuid4())
    wish = {"disk_name": "thesis", "disk_size_gb": 20, "env_vars": {"RESERVATION_ID": job_id, "GITHUB_USER": "ada"}}
    assert ada.submit(**wish) == job_id
    box = ada.comes_to(job_id, "active")
    assert box["pod_name"] == f"gpu-dev-{job_id[:8]}"
    assert box["ssh_command"].startswith(f"ssh -p {box['node_port']} ")
    held = ada.disk("thesis")
    assert (held["in_use"], held["reservation_id"], held["size_gb"]) == (True, job_id, 20)
    extends(ada, job_id)
    lets_somebody_in(ada, installation, job_id)
    turns_jupyter_on_and_off(ada, job_id)
    ada.cancel(job_id)
    assert ada.comes_to(job_id, "cancelled")["ssh_command"] is None
    until(lambda: ada.disk("thesis")["snapshot_count"] == 1, "the snapshot", 60)
    until(lambda: claims_of_disks(installation) == [], "the volume's end", 60)
    assert left_of_jobs(installation, job_id) == []
    second = ada.submit(disk_name="thesis")
    ada.comes_to(second, "active")
    (claim,) = claims_of_disks(installation)
    (snapshot,) = snapshots_of_disks(installation)
    assert claim["spec"]["dataSource"]["name"] == snapshot["metadata"]["name"]
    ada.cancel(second)
    ada.comes_to(second, "cancelled")
    until(lambda: ada.disk("thesis")["snapshot_count"] == 2, "the second snapshot", 60)


def extends(user: GpuDev, job_id: str) -> None:
    before = datetime.fromisoformat(user.job(job_id)["expires_at"])
    user.ask("POST", f"/jobs/{job_id}/extend", {"extension_hours": 2})
    assert datetime.fromisoformat(user.job(job_id)["expires_at"]) == before + timedelta(hours=2)
    with pytest.raises(Refusal, match="48"):
        user.ask("POST", f"/jobs/{job_id}/extend", {"extension_hours": 47})


def lets_somebody_in(user: GpuDev, installation: Installation, job_id: str) -> None:
    user.ask("POST", f"/jobs/{job_id}/users", {"github_username": "Grace"})
    until(lambda: "grace" in user.job(job_id)["secondary_users"], "a second user", 30)
    (secret,) = (one for cluster in installation.clusters() for one in box_secrets(cluster, job_id))
    assert all(public_key(name) in secret for name in ("ada", "grace"))


def turns_jupyter_on_and_off(user: GpuDev, job_id: str) -> None:
    user.ask("POST", f"/jobs/{job_id}/jupyter/enable")
    until(lambda: user.job(job_id)["jupyter_url"], "Jupyter's address", 30)
    assert user.job(job_id)["jupyter_token"] in user.job(job_id)["jupyter_url"]
    user.ask("POST", f"/jobs/{job_id}/jupyter/disable")
    until(lambda: not user.job(job_id)["jupyter_enabled"], "Jupyter's end", 30)


# --- the rules of disks -----------------------------------------------------------------------------------------------


def test_a_disk_that_a_box_has_is_neither_renamed_nor_deleted(ada: GpuDev) -> None:
    box = ada.submit(disk_name="busy")
    ada.comes_to(box, "active")
    for ask in (("POST", "/disks/busy/rename", {"new_name": "idle"}), ("DELETE", "/disks/busy", None)):
        with pytest.raises(Refusal) as refused:
            ada.ask(*ask)
        assert refused.value.status == 409
    ada.cancel(box)
    until(lambda: not ada.disk("busy")["in_use"] and not ada.disk("busy")["is_backing_up"], "a free disk", 60)
    renamed = ada.ask("POST", "/disks/busy/rename", {"new_name": "idle"})
    assert (renamed["snapshots_updated"], renamed["new_name"]) == (1, "idle")


def test_a_deleted_disk_is_gone_and_comes_back(ada: GpuDev) -> None:
    assert ada.operation(ada.ask("POST", "/disks", {"disk_name": "scratch", "size_gb": 10}))["status"] == "completed"
    deleted = ada.operation(ada.ask("DELETE", "/disks/scratch"))
    assert (deleted["status"], deleted["is_deleted"]) == ("completed", True)
    for method, path, body in (
        ("GET", "/disks/scratch/content", None),
        ("POST", "/disks/scratch/rename", {"new_name": "other"}),
        ("POST", "/jobs/submit", {"disk_name": "scratch"}),
    ):
        with pytest.raises(Refusal) as refused:
            ada.ask(method, path, body)
        assert refused.value.status == 410, path
    assert "scratch" not in {disk["disk_name"] for disk in ada.ask("GET", "/disks")["disks"]}
    ada.operation(ada.ask("POST", "/disks/scratch/undelete"))
    assert ada.disk("scratch")["is_deleted"] is False


@pytest.mark.parametrize("name", ["a/../b", "über", "with space", "", "x" * 64])
def test_a_name_that_is_none_is_refused(ada: GpuDev, name: str) -> None:
    with pytest.raises(Refusal) as refused:
        ada.ask("POST", "/disks", {"disk_name": name, "size_gb": 10})
    assert refused.value.status in {400, 422}


def test_many_boxes_for_one_disk_have_it_one_after_the_other(ada: GpuDev, installation: Installation) -> None:
    boxes = [ada.submit(disk_name="shared") for _ in range(8)]
    for _ in boxes:
        (has,) = until(lambda: [one for one in boxes if ada.job(one)["status"] == "active"], "one that has it", 90)
        ada.cancel(has)
        ada.comes_to(has, "cancelled")
    chronicle = told(installation.tables.rows(HISTORY.format(after=0)))
    assert sum(lease.gpr_id in boxes and lease.disk != "" for lease in chronicle.leases.values()) == len(boxes)
    assert list(a_disk_has_one_lease(chronicle, Outages())) == []


def test_in_the_end_nothing_is_held(ada: GpuDev, installation: Installation) -> None:
    for row in ada.ask("GET", "/jobs", status="pending,queued,preparing,active")["jobs"]:
        ada.cancel(row["job_id"])
    until(lambda: not left_in_ledger(installation), "the ledger", 90)
    until(lambda: not left_of_disks(installation), "the disks", 90)


def box_secrets(cluster: ClusterConnection, job_id: str) -> list[str]:
    """Who may enter a box, as its Secrets say it."""
    found = cluster.items("/api/v1/secrets", labelSelector=f"berth.io/job={job_id}")
    keys = [one.get("data", {}).get("authorized_keys") for one in found]
    return [base64.b64decode(one).decode() for one in keys if one]


def claims_of_disks(installation: Installation) -> list[Json]:
    return [claim for cluster in installation.clusters() for claim in cluster.items(CLAIMS, labelSelector=DISK_LABEL)]


def snapshots_of_disks(installation: Installation) -> list[Json]:
    return [one for cluster in installation.clusters() for one in cluster.items(SNAPSHOTS, labelSelector=DISK_LABEL)]

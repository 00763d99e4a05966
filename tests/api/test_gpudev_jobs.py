"""Dev boxes as GPU Dev's clients see them: a place in the queue at once, a way in once it is open, an end that is told."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from api.dialects.gpudev.gpu_types import KINDS
from domain.gpr import EndCause, Phase
from domain.identity import Role
from domain.job import JobKind, JobState
from ledger import boxes, gprs, jobs
from tests.api.gpudev_kit import (
    a_box,
    activated,
    an_active_box,
    ask,
    detail_of,
    ended,
    entered,
    granted,
    job,
    submitted,
)

if TYPE_CHECKING:
    from domain.box import Box
    from tests.api.api_kit import TheApi

DOCUMENTED = {
    *("job_id", "reservation_id", "user_id", "status", "gpu_type", "gpu_count", "instance_type", "duration_hours"),
    *("created_at", "expires_at", "name", "pod_name", "node_ip", "node_port", "ssh_command", "jupyter_enabled"),
    *("jupyter_url", "jupyter_token", "github_user"),
}
MESSAGE = re.compile(r"^(?P<sentence>.+) \(message ID: (?P<number>\d+)\)$")


async def held(api: TheApi, job_id: str) -> Box:
    async with api.ledger.reading() as connection:
        return await boxes.find(connection, UUID(job_id))


async def variables_of(api: TheApi, job_id: str) -> dict[str, str]:
    """What reaches the box."""
    async with api.ledger.reading() as connection:
        spec = await jobs.spec_of(connection, UUID(job_id))
    return {one.name: one.value for one in spec.environment}


# --- submitting -------------------------------------------------------------------------------------------------------


async def test_a_box_is_taken_as_the_document_says(api: TheApi) -> None:
    me = await api.someone()
    body = {
        "image": "pytorch/pytorch:2.1.0-cuda12.1-cudnn8-runtime",
        "instance_type": "p5.48xlarge",
        "duration_hours": 4,
        "disk_name": "my-training-data",
        "disk_size_gb": 100,
        "env_vars": {"WANDB_API_KEY": "secret", "EXPERIMENT": "training-v1"},
        "command": "python train.py --epochs 100",
    }
    told = (await api.call("POST", "/v1/jobs/submit", me, json=body)).json()
    assert told.keys() == {"job_id", "status", "message", "estimated_start_time"}
    assert (told["status"], UUID(told["job_id"]).version) == ("queued", 4)
    assert MESSAGE.fullmatch(told["message"])["sentence"] == "Job submitted successfully to queue"  # type: ignore[index]
    box = await held(api, told["job_id"])
    spec = box.job.spec
    assert (spec.kind, spec.name) == (JobKind.BOX, f"gpu-dev-{told['job_id'][:8]}")
    assert spec.command == ("/bin/sh", "-c", "python train.py --epochs 100")
    assert await variables_of(api, told["job_id"]) == body["env_vars"]
    assert (box.job.gpr.request.shape, box.job.gpr.request.gpus) == ("NVIDIA-H100-80GB-HBM3", 1)
    assert box.job.gpr.request.duration_seconds == 4 * 3600 + 120


async def test_an_answer_has_every_documented_field_and_what_is_not_true_yet_is_null(api: TheApi) -> None:
    me = await api.someone("ada@example.com")
    found = await job(api, me, await a_box(api, me, duration_hours=2))
    assert found.keys() >= DOCUMENTED
    assert found["job_id"] == found["reservation_id"]
    assert (found["user_id"], found["status"], found["duration_hours"]) == ("ada@example.com", "queued", 2.0)
    assert (found["gpu_type"], found["gpu_count"], found["instance_type"]) == ("t4", 1, "g4dn.12xlarge")
    assert (found["name"], found["pod_name"]) == (f"gpu-dev-{found['job_id'][:8]}",) * 2
    assert {found[name] for name in ("expires_at", "node_ip", "node_port", "ssh_command", "jupyter_url")} == {None}


async def test_nothing_has_to_be_said(api: TheApi) -> None:
    me = await api.someone()
    for body in ({}, {"env_vars": None}, {"image": None, "instance_type": "", "env_vars": {}, "command": ""}):
        told = (await api.call("POST", "/v1/jobs/submit", me, json=body)).json()
        found = await job(api, me, told["job_id"])
        assert (found["gpu_type"], found["gpu_count"], found["duration_hours"]) == ("a100", 1, 1.0)
        spec = (await held(api, told["job_id"])).job.spec
        assert (spec.image.startswith("pytorch/pytorch:"), spec.command, spec.environment) == (True, (), ())


async def test_the_clients_own_id_is_taken_and_bound_to_the_caller(api: TheApi) -> None:
    me, other, job_id = await api.someone(), await api.someone(), str(uuid4())
    wish = {"env_vars": {"RESERVATION_ID": job_id}}
    first = (await submitted(api, me, **wish)).json()
    again = (await submitted(api, me, **wish)).json()
    assert (first["job_id"], again) == (job_id, first | {"estimated_start_time": again["estimated_start_time"]})
    assert (await job(api, me, job_id.upper()))["job_id"] == job_id
    for who, changed in ((other, wish), (me, {**wish, "duration_hours": 2})):
        answer = await submitted(api, who, **changed)
        assert (answer.status_code, answer.json().keys()) == (409, {"detail"})
        assert me.principal.name not in answer.text
    assert (await ask(api, me, "GET", "/jobs"))["total"] == 1
    assert (await ask(api, other, "GET", "/jobs"))["total"] == 0


async def test_many_repeats_at_once_are_one_box(api: TheApi) -> None:
    me, job_id = await api.someone(), str(uuid4())
    await a_box(api, me)
    answers = await asyncio.gather(*(submitted(api, me, env_vars={"RESERVATION_ID": job_id}) for _ in range(8)))
    assert {(answer.status_code, answer.json()["job_id"]) for answer in answers} == {(200, job_id)}
    assert len({answer.json()["message"] for answer in answers}) == 1
    assert (await ask(api, me, "GET", "/jobs"))["total"] == 2


async def test_an_idempotency_key_works_here_too(api: TheApi) -> None:
    me, headers = await api.someone(), {"Idempotency-Key": uuid4().hex}
    told = [(await api.call("POST", "/v1/jobs/submit", me, json={}, headers=headers)).json() for _ in range(2)]
    assert told[0]["job_id"] == told[1]["job_id"]


async def test_control_words_are_read_and_do_not_reach_the_box(api: TheApi) -> None:
    me = await api.someone()
    words = {
        "GPU_TYPE": "H100",
        "GPU_COUNT": 8,
        "GITHUB_USER": "Ada-Lovelace",
        "POD_NAME": "gpu-dev-mine",
        "JUPYTER_ENABLED": True,
        "USER_ID": "somebody",
        "RECREATE_ENV": "true",
        "DOCKER_ENABLED": "false",
        "PRESERVE_ENTRYPOINT": "true",
        "MINE": 7,
        "ALSO": False,
        "RATE": 0.5,
    }
    job_id = await a_box(api, me, env_vars=words, command="serve --port '80 81'")
    found, box = await job(api, me, job_id), await held(api, job_id)
    assert (found["gpu_type"], found["gpu_count"], found["name"]) == ("h100", 8, "gpu-dev-mine")
    assert (found["github_user"], found["jupyter_enabled"], found["jupyter_token"]) == ("Ada-Lovelace", True, None)
    assert await variables_of(api, job_id) == {"MINE": "7", "ALSO": "false", "RATE": "0.5"}
    assert (box.job.spec.keeps_entrypoint, box.job.spec.command) == (True, ("serve", "--port", "80 81"))
    docker = await submitted(api, me, env_vars={"DOCKER_ENABLED": "1"})
    assert "no Docker inside a box" in docker.json()["message"]


@pytest.mark.parametrize(
    ("said", "gpu_type", "gpus", "nodes"),
    [
        ({"GPU_TYPE": "h100", "GPU_COUNT": "16"}, "h100", 8, 2),
        ({"GPU_TYPE": " H100 ", "GPU_COUNT": " 8 "}, "h100", 8, 1),
        ({"GPU_TYPE": "t4-small", "GPU_COUNT": "2"}, "t4-small", 1, 2),
        ({"GPU_TYPE": "cpu-x86", "GPU_COUNT": "0"}, "cpu-x86", 0, 1),
        ({"GPU_TYPE": "cpu-arm", "GPU_COUNT": ...}, "cpu-arm", 0, 1),
        ({"GPU_TYPE": ..., "GPU_COUNT": "4"}, "a100", 4, 1),
        ({"GPU_TYPE": "b200", "GPU_COUNT": "16"}, "b200", 8, 2),
    ],
)
async def test_gpus_are_asked_for_by_type_and_count(
    api: TheApi, said: dict[str, Any], gpu_type: str, gpus: int, nodes: int
) -> None:
    me = await api.someone()
    job_id = await a_box(api, me, env_vars=said)
    found, request = await job(api, me, job_id), (await held(api, job_id)).job.gpr.request
    assert (found["gpu_type"], found["gpu_count"], found["total_nodes"]) == (gpu_type, gpus * nodes, nodes)
    assert (request.nodes, request.gpus_per_node, request.exclusive, request.spread) == (nodes, gpus, False, True)


@pytest.mark.parametrize(("gpu_type", "architecture"), [("cpu-x86", "amd64"), ("cpu-arm", "arm64"), ("t4", "")])
async def test_types_without_gpus_are_told_apart_by_their_nodes_architecture(
    api: TheApi, gpu_type: str, architecture: str
) -> None:
    job_id = await a_box(api, await api.someone(), env_vars={"GPU_TYPE": gpu_type, "GPU_COUNT": ...})
    assert (await held(api, job_id)).job.spec.architecture == architecture


@pytest.mark.parametrize("name", KINDS)
async def test_every_type_is_known_by_its_name_and_by_its_instance_type(api: TheApi, name: str) -> None:
    me, kind = await api.someone(), KINDS[name]
    by_name = await a_box(api, me, env_vars={"GPU_TYPE": name, "GPU_COUNT": ...})
    by_instance = await a_box(api, me, env_vars={"GPU_TYPE": ..., "GPU_COUNT": ...}, instance_type=kind.instance_type)
    both = await a_box(api, me, env_vars={"GPU_TYPE": name, "GPU_COUNT": ...}, instance_type="p5.48xlarge")
    for job_id in (by_name, by_instance, both):
        found = await job(api, me, job_id)
        assert (found["gpu_type"], found["instance_type"]) == (name, kind.instance_type)


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        ({"env_vars": {"GPU_TYPE": "v100"}}, "known types: t4, t4-small, l4, a10g, a100, h100, h200, b200, cpu-x86"),
        ({"env_vars": {"GPU_TYPE": ...}, "instance_type": "m5.large"}, "p5.48xlarge (h100)"),
        ({"env_vars": {"GPU_COUNT": "3"}}, "possible counts: 1, 2, 4, 8, 16"),
        ({"env_vars": {"GPU_COUNT": "-1"}}, "possible counts"),
        ({"env_vars": {"GPU_COUNT": "many"}}, "possible counts"),
        ({"env_vars": {"GPU_TYPE": "cpu-x86", "GPU_COUNT": "1"}}, "possible counts: 0"),
        ({"env_vars": {"GPU_TYPE": "h100", "GPU_COUNT": "0"}}, "possible counts"),
        ({"env_vars": {"RESERVATION_ID": "abc-123"}}, "is not a UUID"),
        ({"env_vars": {"GITHUB_USER": "-x"}}, "GitHub user name"),
        ({"env_vars": {"POD_NAME": "with space"}}, "the name of a box"),
        ({"env_vars": {"NVIDIA_VISIBLE_DEVICES": "all"}}, "cannot be set"),
        ({"env_vars": {"PRESERVE_ENTRYPOINT": "1"}, "command": "echo 'x"}, "cannot be read"),
        ({"disk_name": "a/../b"}, "disk name"),
        ({"disk_name": "with space"}, "disk name"),
        ({"disk_name": "x" * 64}, "disk name"),
    ],
)
async def test_what_makes_no_sense_is_refused_with_a_sentence_that_names_what_would(
    api: TheApi, wish: dict[str, Any], told: str
) -> None:
    me = await api.someone()
    answer = await submitted(api, me, **wish)
    assert (answer.status_code, answer.json().keys()) == (400, {"detail"}), answer.text
    assert told in answer.json()["detail"]
    assert (await ask(api, me, "GET", "/jobs"))["total"] == 0


@pytest.mark.parametrize(
    ("wish", "loc"),
    [
        ({"duration_hours": 0}, ["body", "duration_hours"]),
        ({"duration_hours": 73}, ["body", "duration_hours"]),
        ({"duration_hours": 1.5}, ["body", "duration_hours"]),
        ({"duration_hours": "4"}, ["body", "duration_hours"]),
        ({"duration_hours": True}, ["body", "duration_hours"]),
        ({"disk_size_gb": 9, "disk_name": "d"}, ["body", "disk_size_gb"]),
        ({"disk_size_gb": 10_001, "disk_name": "d"}, ["body", "disk_size_gb"]),
        ({"image": "with space"}, ["body", "image"]),
        ({"image": 7}, ["body", "image"]),
        ({"command": "\0"}, ["body", "command"]),
        ({"env_vars": {"1A": "x"}}, ["body", "env_vars", "1A", "[key]"]),
    ],
)
async def test_what_has_the_wrong_shape_is_refused_field_by_field(
    api: TheApi, wish: dict[str, Any], loc: list[str]
) -> None:
    answer = await submitted(api, await api.someone(), **wish)
    assert answer.status_code == 422, answer.text
    (problem,) = answer.json()["detail"]
    assert problem.keys() == {"type", "loc", "msg", "input"}
    assert problem["loc"] == loc


async def test_a_start_time_is_told_where_it_is_known_at_once(api: TheApi) -> None:
    me = await api.someone()
    told = (await submitted(api, me)).json()["estimated_start_time"]
    assert abs(datetime.fromisoformat(told) - api.clock()) < timedelta(seconds=60)
    for unknown in ({"env_vars": {"GPU_TYPE": "b200"}}, {"disk_name": f"d-{uuid4().hex[:8]}"}):
        assert (await submitted(api, me, **unknown)).json()["estimated_start_time"] is None


async def test_a_box_is_in_its_callers_own_workspace_which_is_made_on_the_way(api: TheApi) -> None:
    me = await api.someone("grace@example.com")
    box = await held(api, await a_box(api, me))
    assert box.job.gpr.workspace.startswith("dev-grace")
    assert box.job.spec.namespace == box.job.gpr.workspace


# --- seen -------------------------------------------------------------------------------------------------------------


async def test_the_way_in_is_told_once_it_is_open_and_no_longer_than_that(api: TheApi) -> None:
    me = await api.someone()
    job_id = await a_box(api, me, duration_hours=3, env_vars={"JUPYTER_ENABLED": "true"})
    await activated(api, job_id)
    preparing = await job(api, me, job_id)
    assert (preparing["status"], preparing["ssh_command"], preparing["jupyter_url"]) == ("preparing", None, None)
    await entered(api, job_id, JobState.PENDING, reason="ImagePullBackOff")
    still = await job(api, me, job_id)
    assert (still["status"], still["current_detailed_status"]) == ("preparing", "ImagePullBackOff")
    assert (still["node_ip"], still["node_port"], still["jupyter_token"]) == (None, None, None)
    await entered(api, job_id)
    found = await job(api, me, job_id)
    assert (found["status"], found["ssh_command"]) == ("active", "ssh -p 30022 dev@10.0.1.42")
    assert (found["node_ip"], found["node_port"]) == ("10.0.1.42", 30022)
    assert found["jupyter_url"] == f"http://10.0.1.42:30888/lab?token={found['jupyter_token']}"
    await ask(api, me, "POST", f"/jobs/{job_id}/cancel")
    gone = await job(api, me, job_id)
    assert (gone["status"], gone["ssh_command"], gone["jupyter_token"]) == ("cancelled", None, None)


async def test_the_end_that_is_shown_comes_before_the_grace(api: TheApi) -> None:
    me = await api.someone()
    job_id = await an_active_box(api, me, duration_hours=2)
    found, end_at = await job(api, me, job_id), (await held(api, job_id)).job.gpr.end_at
    assert end_at is not None
    assert datetime.fromisoformat(found["expires_at"]) == end_at - timedelta(seconds=120)
    launched = datetime.fromisoformat(found["launched_at"])
    assert datetime.fromisoformat(found["expires_at"]) - launched == timedelta(hours=2)
    assert 7000 < found["remaining_seconds"] <= 7200
    api.clock.ahead = timedelta(hours=2, seconds=60)
    assert (await job(api, me, job_id))["remaining_seconds"] == 0


async def test_each_end_has_its_word(api: TheApi) -> None:
    me = await api.someone()
    words = {
        EndCause.EXPIRED: "expired",
        EndCause.CANCELLED: "cancelled",
        EndCause.EARLY_RELEASE: "cancelled",
        EndCause.WORKSPACE_DELETED: "cancelled",
        EndCause.OPERATOR: "cancelled",
        EndCause.JOB_FAILED: "failed",
    }
    for cause, word in words.items():
        job_id = await an_active_box(api, me)
        await ended(api, job_id, cause)
        found = await job(api, me, job_id)
        assert (found["status"], found["ssh_command"]) == (word, None), cause


async def test_the_ledger_filters_by_the_same_status_that_is_shown(api: TheApi) -> None:
    me = await api.someone()
    job_id = await a_box(api, me)
    cases = [(phase, state, "") for phase in Phase for state in (None, *JobState)]
    cases += [(Phase.RELEASING, JobState.RUNNING, cause) for cause in EndCause]
    for phase, state, cause in cases:
        why = cause or (EndCause.EARLY_RELEASE if phase is Phase.RELEASING else "")
        async with api.ledger.transaction() as connection:
            await connection.execute(
                "update gpr set phase = $2, end_cause = $3 where id = $1", UUID(job_id), phase, why
            )
            await connection.execute("update job set state = $2 where gpr_id = $1", UUID(job_id), state or "")
        shown = (await job(api, me, job_id))["status"]
        found = await ask(api, me, "GET", f"/jobs?status={shown}")
        assert (found["total"], len(found["jobs"])) == (1, 1), (phase, state, cause, shown)


async def test_the_list_is_ones_own_newest_first_filtered_and_paged(api: TheApi) -> None:
    me, other = await api.someone(), await api.someone()
    ids = [await a_box(api, me) for _ in range(5)]
    await a_box(api, other)
    await ask(api, me, "POST", f"/jobs/{ids[0]}/cancel")
    await granted(api, ids[1])

    async def listed(query: str = "") -> tuple[list[str], int]:
        found = await ask(api, me, "GET", f"/jobs{query}")
        assert found.keys() == {"jobs", "total", "limit", "offset"}
        return [one["job_id"] for one in found["jobs"]], found["total"]

    newest_first = ids[::-1]
    assert await listed() == (newest_first, 5)
    assert await listed("?limit=2") == (newest_first[:2], 5)
    assert await listed("?limit=2&offset=4") == (newest_first[4:], 5)
    assert await listed("?offset=9") == ([], 5)
    assert await listed("?status=queued") == (newest_first[:3], 3)
    assert await listed("?status=queued&limit=1&offset=1") == (newest_first[1:2], 3)
    assert await listed("?status=queued&offset=7") == ([], 3)
    for query in (
        "preparing,cancelled",
        "preparing%2Ccancelled",
        "preparing,%20Cancelled",
        "preparing&status=cancelled",
    ):
        assert await listed(f"?status={query}") == ([ids[1], ids[0]], 2)
    assert await listed("?status=active") == ([], 0)
    assert await listed("?status=pending") == ([], 0)
    assert await listed("?status=") == (newest_first, 5)


@pytest.mark.parametrize(
    ("query", "status"),
    [("limit=0", 422), ("limit=501", 422), ("limit=x", 422), ("offset=-1", 422), ("status=dancing", 400)],
)
async def test_a_list_is_asked_for_sensibly(api: TheApi, query: str, status: int) -> None:
    told = await ask(api, await api.someone(), "GET", f"/jobs?{query}", status)
    if status == 422:
        assert told["detail"][0]["loc"] == ["query", query.partition("=")[0]]
    else:
        assert "known statuses: pending, queued, preparing, active" in told["detail"]


async def test_what_is_not_ones_own_is_not_found(api: TheApi) -> None:
    me, other = await api.someone(), await api.someone()
    job_id = await a_box(api, other)
    workspace = await api.workspace(other)
    gpr = await api.gpr(other, workspace)
    for reference in (
        job_id,
        job_id[:8],
        str(uuid4()),
        "abc-123",
        gpr,
        f"{{{job_id}}}",
        job_id.replace("-", ""),
        "x" * 200,
    ):
        for method, path, body in (
            ("GET", "", {}),
            ("POST", "/cancel", {}),
            ("POST", "/extend", {"extension_hours": 1}),
            ("POST", "/jupyter/enable", {}),
            ("POST", "/jupyter/disable", {}),
            ("POST", "/users", {"github_username": "ada"}),
        ):
            told = await detail_of(api, me, method, f"/jobs/{reference}{path}", 404, **body)
            assert "not found" in told, (reference, path)
    assert (await job(api, other, job_id))["status"] == "queued"


async def test_a_gpr_of_ones_own_is_no_box(api: TheApi) -> None:
    me = await api.someone()
    external_id = await api.gpr(me, await api.workspace(me))
    async with api.ledger.reading() as connection:
        gpr_id = await gprs.id_of_external(connection, external_id)
    assert "not found" in await detail_of(api, me, "GET", f"/jobs/{gpr_id}", 404)
    assert (await ask(api, me, "GET", "/jobs"))["total"] == 0


# --- wishes -----------------------------------------------------------------------------------------------------------


async def test_a_box_is_cancelled_in_any_live_state_and_twice_is_once(api: TheApi) -> None:
    me = await api.someone()
    queued, preparing, active = await a_box(api, me), await a_box(api, me), await an_active_box(api, me)
    await granted(api, preparing)
    numbers = []
    for job_id in (queued, preparing, active, active):
        told = await ask(api, me, "POST", f"/jobs/{job_id}/cancel")
        assert (told["job_id"], told["action"], told["status"]) == (job_id, "cancel", "requested")
        said = MESSAGE.fullmatch(told["message"])
        assert said is not None
        assert said["sentence"] == "Cancellation request submitted"
        numbers.append(int(said["number"]))
        assert (await job(api, me, job_id))["status"] == "cancelled"
    assert numbers == sorted(set(numbers))
    expired = await an_active_box(api, me)
    await ended(api, expired, EndCause.EXPIRED)
    assert "expired" in await detail_of(api, me, "POST", f"/jobs/{expired}/cancel", 409)


async def test_an_extension_moves_the_end_before_it_is_answered_and_has_a_bound(api: TheApi) -> None:
    me = await api.someone()
    job_id = await an_active_box(api, me, duration_hours=1)
    before = datetime.fromisoformat((await job(api, me, job_id))["expires_at"])
    told = await ask(api, me, "POST", f"/jobs/{job_id}/extend", extension_hours=2)
    said = MESSAGE.fullmatch(told["message"])
    assert (told["action"], said and said["sentence"]) == ("extend", "Extension request submitted for 2 hours")
    found = await job(api, me, job_id)
    assert datetime.fromisoformat(found["expires_at"]) == before + timedelta(hours=2)
    assert found["duration_hours"] == 3.0
    assert "48" in await detail_of(api, me, "POST", f"/jobs/{job_id}/extend", 400, extension_hours=47)
    await ask(api, me, "POST", f"/jobs/{job_id}/extend", extension_hours=46)
    assert "none" in await detail_of(api, me, "POST", f"/jobs/{job_id}/extend", 400, extension_hours=1)
    for hours in (0, 73, -1, 1.5, "2"):
        await ask(api, me, "POST", f"/jobs/{job_id}/extend", 422, extension_hours=hours)


async def test_an_extension_that_a_client_sends_again_under_its_key_is_done_once(api: TheApi) -> None:
    me, headers = await api.someone(), {"Idempotency-Key": uuid4().hex}
    path = f"/v1/jobs/{await an_active_box(api, me, duration_hours=1)}"
    answers = [
        await api.call("POST", f"{path}/extend", me, json={"extension_hours": 2}, headers=headers) for _ in range(2)
    ]
    assert [one.status_code for one in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    assert (await api.call("GET", path, me)).json()["duration_hours"] == 3.0
    other = await api.call("POST", f"{path}/extend", me, json={"extension_hours": 3}, headers=headers)
    assert other.status_code == 409


async def test_only_what_has_begun_and_not_ended_is_extended(api: TheApi) -> None:
    me = await api.someone()
    queued, preparing, gone = await a_box(api, me), await a_box(api, me), await a_box(api, me)
    await activated(api, preparing)
    await ask(api, me, "POST", f"/jobs/{gone}/cancel")
    assert "queued" in await detail_of(api, me, "POST", f"/jobs/{queued}/extend", 409, extension_hours=1)
    assert "cancelled" in await detail_of(api, me, "POST", f"/jobs/{gone}/extend", 409, extension_hours=1)
    await ask(api, me, "POST", f"/jobs/{preparing}/extend", extension_hours=1)
    assert (await job(api, me, preparing))["duration_hours"] == 2.0


async def test_jupyter_is_turned_on_and_off(api: TheApi) -> None:
    me = await api.someone()
    job_id = await an_active_box(api, me)
    for word, is_on in (("enable", True), ("enable", True), ("disable", False)):
        told = await ask(api, me, "POST", f"/jobs/{job_id}/jupyter/{word}")
        assert told["action"] == f"{word}_jupyter"
        assert told["message"].startswith(f"Jupyter {word} request submitted (message ID: ")
        found = await job(api, me, job_id)
        assert (found["jupyter_enabled"], found["jupyter_url"] is not None) == (is_on, is_on)
    await ask(api, me, "POST", f"/jobs/{job_id}/cancel")
    assert "cancelled" in await detail_of(api, me, "POST", f"/jobs/{job_id}/jupyter/enable", 409)


async def test_somebody_who_is_let_in_is_named_once_their_keys_are_there(api: TheApi) -> None:
    me = await api.someone()
    job_id = await an_active_box(api, me, env_vars={"GITHUB_USER": "ada"})
    told = await ask(api, me, "POST", f"/jobs/{job_id}/users", github_username="Grace-Hopper")
    assert told["message"].startswith("Add user request submitted for GitHub user 'Grace-Hopper' (message ID: ")
    assert (await job(api, me, job_id))["secondary_users"] == []
    async with api.ledger.transaction() as connection:
        await boxes.write_keys(connection, UUID(job_id), "grace-hopper", ["ssh-ed25519 AAAA"], "", api.clock())
        await boxes.write_keys(connection, UUID(job_id), "ada", [], "there is no such user", api.clock())
        await boxes.told(connection, UUID(job_id), 1000, api.clock())
    found = await job(api, me, job_id)
    assert found["secondary_users"] == ["grace-hopper"]
    assert found["warning"] == "ada: there is no such user"
    for bad in ("", "-x", "a b", "x" * 40, "a/b"):
        await detail_of(api, me, "POST", f"/jobs/{job_id}/users", 400, github_username=bad)
    await ask(api, me, "POST", f"/jobs/{job_id}/users", 422, github_username=7)


async def test_a_viewers_key_sees_and_changes_nothing(api: TheApi) -> None:
    me = await api.someone()
    job_id = await an_active_box(api, me)
    viewer = await api.someone(principal=me.principal, role=Role.VIEWER)
    assert (await job(api, viewer, job_id))["status"] == "active"
    await detail_of(api, viewer, "POST", f"/jobs/{job_id}/cancel", 403)
    await detail_of(api, viewer, "POST", "/jobs/submit", 403)


# --- to the other dialects --------------------------------------------------------------------------------------------


async def test_a_box_is_a_notebook_to_gpuctl_and_a_gpr_to_the_others(api: TheApi) -> None:
    me = await api.someone()
    job_id = await an_active_box(api, me, env_vars={"JUPYTER_ENABLED": "1", "TOKEN": "secret"})
    box = await held(api, job_id)
    name, workspace = box.job.spec.name, box.job.gpr.workspace
    listed = (await api.call("GET", "/api/v1/jobs?kind=notebook", me)).json()["items"]
    assert [(one["name"], one["kind"], one["status"]) for one in listed] == [(name, "notebook", "Running")]
    assert (await api.call("GET", "/api/v1/jobs?kind=training", me)).json()["total"] == 0
    assert (await api.call("GET", "/api/v1/jobs?kind=box", me)).status_code == 400
    detail = (await api.call("GET", f"/api/v1/jobs/{name}", me)).json()
    assert (detail["kind"], detail["resource_type"], detail["status"]) == ("notebook", "Pod", "Running")
    assert detail["access_methods"]["node_port_access"]["node_port"] == 30888
    assert "secret" not in str(detail)
    (gpr,) = (await api.call("GET", f"/api/v1/gpr/list?sliceName={workspace}", me)).json()["data"]["items"]
    assert gpr["gprName"] == name
    native = (await api.call("GET", f"/berth/v1/gprs/{job_id}", me)).json()
    assert (native["phase"], native["duration_seconds"]) == ("active", 3720)
    assert (await api.call("DELETE", f"/api/v1/jobs/{name}", me)).status_code == 200
    assert (await job(api, me, job_id))["status"] == "cancelled"


async def test_a_box_cannot_be_made_by_gpuctl(api: TheApi) -> None:
    me = await api.someone()
    await api.workspace(me)
    text = "kind: box\njob: {name: a}\nenvironment: {image: b}"
    answer = await api.call("POST", "/api/v1/jobs", me, json={"yamlContent": text})
    assert (answer.status_code, answer.json().keys()) == (400, {"error"})
    async with api.ledger.reading() as connection:
        assert await jobs.id_of(connection, None, "a") is None

"""What the tests of the Run:ai dialect share: asking, ids, and the document that clients were written against."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from jsonschema import Draft202012Validator, FormatChecker

from domain.gpr import Phase
from domain.job import JobState, ObservedJob, ObservedPod
from ledger import gprs, jobs

if TYPE_CHECKING:
    from datetime import datetime

    import httpx

    from tests.api.api_kit import Someone, TheApi

DOCUMENT: dict[str, Any] = json.loads((Path(__file__).parent / "runai_document.json").read_text())
"""Paths and shapes of the Workloads API, version 2.25, without its words."""


def stable_id(kind: str, name: str) -> str:
    """As migration 0010 makes it."""
    digest = hashlib.md5(f"{kind}/{name}".encode()).hexdigest()
    return str(UUID(f"{digest[:12]}3{digest[13:16]}8{digest[17:]}"))


CATEGORY_ID, TYPE_ID, PRIORITY_ID = (
    stable_id("category", "Build"),
    stable_id("type", "gpr"),
    stable_id("priority", "high"),
)
IDS = {"categoryId": CATEGORY_ID, "workloadTypeId": TYPE_ID}


async def workload_of(api: TheApi, external_id: str) -> str:
    """The id of a GPR as workloads have it."""
    async with api.ledger.reading() as connection:
        return str(await gprs.id_of_external(connection, external_id))


async def a_workload(api: TheApi, who: Someone, workspace: str, phase: Phase = Phase.QUEUED, **wish: Any) -> str:
    """Id of a new GPR, as a workload."""
    return await workload_of(api, await api.gpr(who, workspace, phase, **wish))


async def job_id_of(api: TheApi, who: Someone, namespace: str) -> str:
    """Id of a new training job, as a workload."""
    name = await api.job(who, namespace)
    async with api.ledger.reading() as connection:
        found = await jobs.id_of(connection, None, name)
    return str(found)


async def seen(
    api: TheApi, workload_id: str, state: JobState, pods: tuple[ObservedPod, ...] = (), node_port: int = 0
) -> None:
    """What its pods show now."""
    async with api.ledger.transaction() as connection:
        observed = ObservedJob(state, ready=len(pods), wanted=max(1, len(pods)), pods=pods, service_node_port=node_port)
        await jobs.observe(connection, UUID(workload_id), observed, api.clock())


async def answered(api: TheApi, who: Someone, path: str, status: int = 200, **params: Any) -> Any:
    """What is answered, with this status, after it was held against the document."""
    answer = await api.call("GET", f"/api/v1{path}", who, params=params)
    assert answer.status_code == status, answer.text
    check(answer, path)
    return answer.json()


async def ids_of(api: TheApi, who: Someone, **params: Any) -> list[str]:
    """Ids of a list, in its order."""
    return [one["id"] for one in (await answered(api, who, "/workloads", **params))["workloads"]]


async def names_of(api: TheApi, who: Someone, **params: Any) -> list[str]:
    """Names of a list, in its order."""
    return [one["name"] for one in (await answered(api, who, "/workloads", **params))["workloads"]]


async def refusal(api: TheApi, who: Someone | None, path: str, status: int = 400, **params: Any) -> dict[str, Any]:
    """The body of a refusal, after it was held against the shape that all of them have."""
    answer = await api.call("GET", f"/api/v1{path}", who, params=params)
    assert answer.status_code == status, answer.text
    return assert_failure(answer)


def assert_failure(answer: httpx.Response) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    assert {"code", "message"} <= body.keys() <= {"code", "message", "details"}
    assert body["code"] == answer.status_code
    assert body["message"]
    return body


def check(answer: httpx.Response, path: str) -> None:
    """Hold an answer against the document, where that says anything about it."""
    operation = DOCUMENT["paths"].get(template_of(f"/api/v1{path}"), {}).get("get")
    if operation is None:
        return
    said = operation["responses"][str(answer.status_code)]
    if "content" not in said:
        return
    schema = {**said["content"]["application/json"]["schema"], "components": DOCUMENT["components"]}
    Draft202012Validator(as_json_schema(schema), format_checker=FormatChecker()).validate(answer.json())


def template_of(path: str) -> str:
    """The document's spelling of a path."""
    parts = path.split("/")
    return "/".join("{workloadId}" if len(part) == 36 and part.count("-") == 4 else part for part in parts)


def as_json_schema(schema: Any) -> Any:
    """OpenAPI 3.0 says `nullable` beside a type; JSON Schema says it in the type."""
    if isinstance(schema, list):
        return [as_json_schema(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    told = {name: as_json_schema(part) for name, part in schema.items() if name != "nullable"}
    if schema.get("nullable") is True and isinstance(schema.get("type"), str):
        told["type"] = [schema["type"], "null"]
    return told


def at(moment: datetime) -> str:
    """An instant as a query has it."""
    return moment.isoformat().replace("+00:00", "Z")

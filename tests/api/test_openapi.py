"""The served OpenAPI documents. A difference to the kept ones is a decision: write it down with BERTH_WRITE_SNAPSHOTS=1."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from api.app import DIALECTS
from domain.gpr import Phase
from tests.api import runai_kit
from tests.api.gpudev_kit import a_box_and_a_disk
from tests.api.route_table import ROUTES, filled

if TYPE_CHECKING:
    from tests.api.api_kit import TheApi

SNAPSHOTS = Path(__file__).parent / "snapshots"
NAMES = [dialect.name for dialect in DIALECTS]
OPEN = {path for dialect in DIALECTS for path in dialect.open_paths}


@pytest.mark.parametrize("name", NAMES)
async def test_the_document_is_the_kept_one(api: TheApi, name: str) -> None:
    served = (await api.client.get(f"/openapi/{name}.json")).json()
    path = SNAPSHOTS / f"{name}.json"
    if os.environ.get("BERTH_WRITE_SNAPSHOTS"):
        path.write_text(json.dumps(served, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    assert served == json.loads(path.read_text())


@pytest.mark.parametrize("name", NAMES)
async def test_every_reference_leads_somewhere(api: TheApi, name: str) -> None:
    served = (await api.client.get(f"/openapi/{name}.json")).json()
    wanted = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(served)))
    assert wanted <= set(served["components"]["schemas"])


@pytest.mark.parametrize("name", NAMES)
async def test_every_operation_says_who_may_call_it_and_how_it_fails(api: TheApi, name: str) -> None:
    served = (await api.client.get(f"/openapi/{name}.json")).json()
    for path, operations in served["paths"].items():
        for operation in operations.values():
            assert {"401", "503"} <= operation["responses"].keys()
            assert ("security" in operation) is (path not in OPEN)
            assert operation["description"]


@pytest.mark.parametrize("asked", [asked for asked in ROUTES if asked.method == "GET"], ids=str)
async def test_what_is_served_is_what_the_document_says(api: TheApi, asked: Any) -> None:
    me = await api.someone(administrator=True)
    workspace = await api.workspace(me)
    words = {"workspace": workspace, "gpr": await api.gpr(me, workspace, Phase.ACTIVE)}
    words |= {"pool": await api.pool("worker-1-h100"), "namespace": await api.quota(f"{workspace}-ns", gpus=4)}
    words |= {"poolName": words["pool"], "namespaceName": words["namespace"]}
    words["jobId"] = await api.job(me, words["namespace"])
    words |= {"department": "default", "nodeName": "worker-1-t4-1", "key": await api.label("worker-1-t4-1")}
    words |= await a_box_and_a_disk(api, me)
    words |= {"workloadId": await runai_kit.workload_of(api, words["gpr"]), **runai_kit.IDS}
    if "{gpu}" in asked.path:
        words["gpu"] = str(await api.gpu("worker-1-t4-1"))
    if "{reservation}" in asked.path:
        words["reservation"] = await api.reservation(me, workspace)
    answer = await api.call("GET", filled(asked.path, **words), me, params=filled(asked.query, **words))
    document = (await api.client.get("/openapi.json")).json()
    said = document["paths"][asked.path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    Draft202012Validator({**said, "components": document["components"]}).validate(answer.json())
    await api.finish(words["gpr"])  # there is a node for each only as long as each gives it back

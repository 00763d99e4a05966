"""What the Temporal UI shows its operators, read from the UI's own API as a browser does."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

Json = dict[str, Any]

WORKFLOWS = "/api/v1/namespaces/default/workflows"
PAGE_SIZE = 1000


@dataclass(frozen=True, slots=True)
class Sight:
    """One line of the UI's list."""

    workflow_id: str
    status: str
    attributes: dict[str, Any]


class OperatorsWindow:
    """The Temporal UI of a stack."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=20, trust_env=False)

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def listed(self, query: str) -> list[Sight]:
        """What the list shows for a filter."""
        answer = self._get(WORKFLOWS, query=query, pageSize=str(PAGE_SIZE))
        return [_sight(one) for one in answer.get("executions", [])]

    def summaries(self, workflow_id: str) -> list[str]:
        """What each step is said to do, in order."""
        answer = self._get(f"{WORKFLOWS}/{quote(workflow_id, safe='')}/history", maximumPageSize=str(PAGE_SIZE))
        metadata = [event.get("userMetadata") or {} for event in answer["history"]["events"]]
        return [str(_decoded(one["summary"])) for one in metadata if "summary" in one]

    def _get(self, path: str, **query: str) -> Json:
        answer: Json = self._http.get(path, params=query).raise_for_status().json()
        return answer


def _sight(execution: Json) -> Sight:
    fields = execution["searchAttributes"]["indexedFields"]
    ours = {name: _decoded(field) for name, field in fields.items() if name.startswith("Berth")}
    status = execution["status"].removeprefix("WORKFLOW_EXECUTION_STATUS_").lower()
    return Sight(execution["execution"]["workflowId"], status, ours)


def _decoded(payload: Json) -> Any:
    return json.loads(base64.b64decode(payload["data"]))

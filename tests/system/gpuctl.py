"""A gpuctl client as its users write one: YAML goes in, and every failure must be one sentence under `error`."""

from __future__ import annotations

import json
from typing import Any

import httpx

from tests.system.egs import NoAnswer, Refusal

Json = dict[str, Any]

PREFIX = "/api/v1"
NATIVE = "/berth/v1"
"""For what gpuctl has no words for."""
SECONDS_MAX = 20.0
MISSING = 404
EVERY_ROW = 100


class Gpuctl:
    """One user with one API key, whose jobs are all in one namespace."""

    def __init__(self, url: str, api_key: str, namespace: str) -> None:
        headers = {"Authorization": f"Bearer {api_key}"}
        self.namespace = namespace
        self._http = httpx.Client(base_url=url, headers=headers, timeout=SECONDS_MAX, trust_env=False)

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def ask(self, method: str, path: str, body: Json | None = None, *, prefix: str = PREFIX, **more: Any) -> Any:
        """The answer, or Refusal, or NoAnswer."""
        try:
            answer = self._http.request(method, f"{prefix}{path}", json=body, **more)
        except httpx.TransportError as error:
            raise NoAnswer(str(error)) from error
        content = answer.json()
        if answer.is_success:
            return content
        assert set(content) == {"error"}, f"{method} {path} answered {answer.status_code} with {content}"
        raise Refusal(answer.status_code, content["error"])

    def submit(self, document: Json, *, key: str = "") -> str:
        """Queue a job; its name. JSON is YAML."""
        headers = {"Idempotency-Key": key} if key else {}
        return str(self.ask("POST", "/jobs", {"yamlContent": json.dumps(document)}, headers=headers)["jobId"])

    def set_quota(self, gpus: int) -> None:
        """Limit the namespace, and make it where it is missing."""
        quota = {"kind": "quota", "quota": {"name": "limit"}, "namespace": {self.namespace: {"gpu": gpus}}}
        self.ask("POST", "/quotas", {"yamlContent": json.dumps(quota)})

    def rows(self) -> list[Json]:
        """The list of jobs: a row for each pod, or for a job that has none."""
        query = {"namespace": self.namespace, "pageSize": EVERY_ROW}
        found: list[Json] = self.ask("GET", "/jobs", params=query)["items"]
        return found

    def pods(self, job: str) -> list[Json]:
        """The rows of one job's pods."""
        return [row for row in self.rows() if row["name"] == job and row["jobId"] != job]

    def job(self, name: str) -> Json:
        """One job, by its name or a pod's."""
        found: Json = self.ask("GET", f"/jobs/{name}", params={"namespace": self.namespace})
        return found

    def status(self, name: str) -> str:
        """The status of a job, with its reason."""
        return str(self.job(name)["status"])

    def log(self, name: str) -> list[str]:
        """The last lines of its first pod."""
        found: list[str] = self.ask("GET", f"/jobs/{name}/logs", params={"namespace": self.namespace})["logs"]
        return found

    def delete(self, name: str, *, force: bool = False) -> None:
        """End a job."""
        self.ask("DELETE", f"/jobs/{name}", params={"namespace": self.namespace, "force": force})


def a_document(kind: str, name: str, namespace: str, **sections: Json) -> Json:
    """A job that wants one GPU, and no certain one; a section that is given is laid over the default one."""
    content: Json = {
        "kind": kind,
        "version": "v0.1",
        "job": {"name": name, "namespace": namespace},
        "environment": {"image": "busybox", "command": ["work"]},
        "resources": {"gpu": 1},
    }
    return content | {section: {**content.get(section, {}), **wish} for section, wish in sections.items()}

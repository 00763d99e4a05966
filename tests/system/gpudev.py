"""A GPU Dev client as its users write one: every failure must be told under `detail`."""

from __future__ import annotations

from typing import Any

import httpx

from tests.system.egs import NoAnswer, Refusal
from tests.system.freedom import until
from tests.system.outside import credentials

Json = dict[str, Any]

SECONDS_MAX = 30.0


def logged_in(url: str, name: str) -> GpuDev:
    """Whoever AWS calls by this name, in the role that may log in."""
    nobody = GpuDev(url)
    try:
        return GpuDev(url, nobody.ask("POST", "/auth/aws-login", credentials(name))["api_key"])
    finally:
        nobody.close()


class GpuDev:
    """One user with one API key, or none."""

    def __init__(self, url: str, api_key: str = "") -> None:
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self.key = api_key
        self._http = httpx.Client(base_url=f"{url}/v1", headers=headers, timeout=SECONDS_MAX, trust_env=False)

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def ask(self, method: str, path: str, body: Json | None = None, **query: Any) -> Any:
        """The answer, or Refusal, or NoAnswer."""
        try:
            answer = self._http.request(method, path, json=body, params=query)
        except httpx.TransportError as error:
            raise NoAnswer(str(error)) from error
        content = answer.json()
        if answer.is_success:
            return content
        assert "detail" in content, f"{method} {path} answered {answer.status_code} with {content}"
        raise Refusal(answer.status_code, content["detail"])

    def submit(self, **wish: Any) -> str:
        """Ask for a box; its id. `t4` and one GPU where nothing is said."""
        variables = {"GPU_TYPE": "t4", "GPU_COUNT": "1", **wish.pop("env_vars", {})}
        return str(self.ask("POST", "/jobs/submit", {"duration_hours": 1, "env_vars": variables, **wish})["job_id"])

    def job(self, job_id: str) -> Json:
        """One box."""
        found: Json = self.ask("GET", f"/jobs/{job_id}")
        return found

    def comes_to(self, job_id: str, status: str, seconds_max: float = 60.0) -> Json:
        """The box once this is its status."""
        until(lambda: self.job(job_id)["status"] == status, f"box {job_id} {status}", seconds_max)
        return self.job(job_id)

    def disk(self, name: str) -> Json:
        """One disk."""
        found: Json = self.ask("GET", f"/disks/{name}")
        return found

    def cancel(self, job_id: str) -> None:
        """End a box."""
        self.ask("POST", f"/jobs/{job_id}/cancel")

    def operation(self, told: Json, seconds_max: float = 60.0) -> Json:
        """The outcome of a disk operation that was asked for."""
        path = f"/disks/{told['disk_name']}/operations/{told['operation_id']}"
        until(lambda: self.ask("GET", path)["completed"], f"{told['action']} of {told['disk_name']}", seconds_max)
        outcome: Json = self.ask("GET", path)
        return outcome

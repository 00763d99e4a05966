"""An EGS client as its users write one: a key is exchanged for a token, and every answer must be a whole envelope."""

from __future__ import annotations

from typing import Any

import httpx

Json = dict[str, Any]

PREFIX = "/api/v1"
ENVELOPE = {"statusCode", "status", "message", "data", "error"}
ERROR = {"errorKey", "message", "data"}
SECONDS_MAX = 20.0
UNAUTHORIZED = 401


class NoAnswer(Exception):
    """Nobody listens, or the connection broke off."""


class Refusal(Exception):
    """An answer that is not a success, in the dialect's shape."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status


class Egs:
    """One user with one API key."""

    def __init__(self, url: str, api_key: str) -> None:
        self._api_key = api_key
        self._http = httpx.Client(base_url=url, timeout=SECONDS_MAX, trust_env=False)
        self.login()

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def login(self) -> None:
        """Exchange the key for a token of fifteen minutes."""
        token = self._once("POST", "/auth", {"apiKey": self._api_key})["token"]
        self._http.headers["Authorization"] = f"Bearer {token}"

    def ask(self, method: str, path: str, body: Json | None = None, *, key: str = "") -> Json:
        """The data of a success; a token that has run out is renewed once."""
        try:
            return self._once(method, path, body, key)
        except Refusal as refusal:
            if refusal.status != UNAUTHORIZED:
                raise
        self.login()
        return self._once(method, path, body, key)

    def create_workspace(self, name: str, *clusters: str, key: str = "") -> None:
        """A slice workspace of one namespace that has its name."""
        body = {"workspaceName": name, "clusters": list(clusters), "namespaces": [name]}
        self.ask("POST", "/slice-workspace", body, key=key)

    def delete_workspace(self, name: str) -> None:
        """Begin to delete it."""
        self.ask("DELETE", "/slice-workspace", {"workspaceName": name})

    def workspaces(self) -> list[str]:
        """Names of those that are there."""
        return [one["name"] for one in self.ask("GET", "/slice-workspace/list")["workspaces"]]

    def kubeconfig(self, workspace: str) -> str:
        """Access to its namespaces."""
        answer = self.ask("POST", "/slice-workspace/kube-config", {"workspaceName": workspace})
        return str(answer["kubeConfig"])

    def submit(self, workspace: str, name: str, *, key: str = "", **wish: Any) -> str:
        """Queue a GPR; its id."""
        body = {"sliceName": workspace, "gprName": name, "numberOfGPUs": 1, "numberOfGPUNodes": 1, **wish}
        return str(self.ask("POST", "/gpr", body, key=key)["gprId"])

    def gpr(self, gpr_id: str) -> Json:
        """One GPR."""
        return self.ask("GET", f"/gpr?gprId={gpr_id}")

    def gprs(self, workspace: str) -> list[Json]:
        """The GPRs of a slice workspace, newest first."""
        found: list[Json] = self.ask("GET", f"/gpr/list?sliceName={workspace}")["items"]
        return found

    def release_early(self, gpr_id: str) -> None:
        """End a provisioned GPR."""
        self.ask("PUT", "/gpr", {"gprId": gpr_id, "earlyRelease": True})

    def set_priority(self, gpr_id: str, priority: int) -> None:
        """Change the place of a queued GPR."""
        self.ask("PUT", "/gpr", {"gprId": gpr_id, "priority": priority})

    def delete_gpr(self, gpr_id: str) -> None:
        """Withdraw a GPR that is not provisioned."""
        self.ask("DELETE", "/gpr", {"gprId": gpr_id})

    def create_key(self, name: str, **wish: str) -> str:
        """Make an API key; its text."""
        return str(self.ask("POST", "/api-key", {"name": name, **wish})["apiKey"])

    def inventory(self) -> list[Json]:
        """GPU nodes."""
        found: list[Json] = self.ask("GET", "/inventory/list")["items"]
        return found

    def _once(self, method: str, path: str, body: Json | None = None, key: str = "") -> Json:
        headers = {"Idempotency-Key": key} if key else {}
        try:
            answer = self._http.request(method, f"{PREFIX}{path}", json=body, headers=headers)
        except httpx.TransportError as error:
            raise NoAnswer(str(error)) from error
        envelope = answer.json()
        assert set(envelope) == ENVELOPE, f"{method} {path} answered {answer.status_code} with {envelope}"
        assert envelope["statusCode"] == answer.status_code
        if answer.is_success:
            data: Json = envelope["data"]
            return data
        assert set(envelope["error"]) == ERROR, f"{method} {path} answered {envelope}"
        raise Refusal(answer.status_code, f"{envelope['message']}: {envelope['error']['data']}")

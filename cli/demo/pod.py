"""The demonstration's GPU pod, started as a user would: with `kubectl` and the issued kubeconfig."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.failures import CommandFailed

CALL_SECONDS_MAX = 20.0


@dataclass(frozen=True, slots=True)
class PodSight:
    """A pod as kubectl sees it."""

    phase: str
    node: str
    reason: str = ""


class KubectlFailed(CommandFailed):
    """kubectl said no."""


@dataclass(frozen=True, slots=True)
class Kubectl:
    """One kubectl with one kubeconfig."""

    binary: Path
    kubeconfig: Path

    def create(self, manifest: dict[str, Any]) -> None:
        """Create what is not there yet."""
        try:
            self._run("create", "-f", "-", given=json.dumps(manifest))
        except KubectlFailed as failure:
            if "AlreadyExists" not in failure.detail:
                raise

    def pod(self, namespace: str, name: str) -> PodSight:
        """Where the pod is, and why not on a node."""
        found = json.loads(self._run("get", "pod", name, "-n", namespace, "-o", "json"))
        return _sight(found)

    def _run(self, *words: str, given: str | None = None) -> str:
        argv = [str(self.binary), "--kubeconfig", str(self.kubeconfig), *words]
        try:
            answer = subprocess.run(
                argv, input=given, capture_output=True, text=True, check=False, timeout=CALL_SECONDS_MAX
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise KubectlFailed(f"kubectl {words[0]}: {error}") from error
        if answer.returncode:
            raise KubectlFailed(f"kubectl {words[0]} failed", detail=answer.stderr.strip())
        return answer.stdout


def gpu_pod(namespace: str, name: str) -> dict[str, Any]:
    """The simplest pod that wants a GPU; nothing in it speaks of Berth."""
    container = {
        "name": "gpu",
        "image": "busybox",
        "command": ["sleep", "3600"],
        "resources": {"limits": {"nvidia.com/gpu": "1"}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"restartPolicy": "Never", "containers": [container]},
    }


def _sight(pod: dict[str, Any]) -> PodSight:
    status = pod.get("status", {})
    waits = [
        condition.get("message", "")
        for condition in status.get("conditions", [])
        if condition.get("type") == "PodScheduled" and condition.get("status") != "True"
    ]
    return PodSight(status.get("phase", ""), pod["spec"].get("nodeName", ""), "; ".join(waits))

"""`kubectl` as a tenant runs it: the stack's own binary, with the kubeconfig that Berth issued."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

Json = dict[str, Any]

SECONDS_MAX = 20.0
UNAUTHORIZED = "Unauthorized"


class Refused(Exception):
    """kubectl said no; the text says why."""


class Kubectl:
    """One kubectl with one kubeconfig, of a namespace that the kubeconfig names."""

    def __init__(self, binary: Path, kubeconfig: str, folder: Path) -> None:
        with tempfile.NamedTemporaryFile("w", dir=folder, prefix="kubeconfig-", delete=False) as file:
            file.write(kubeconfig)
        self._argv = [str(binary), "--kubeconfig", file.name]

    def create(self, manifest: Json) -> None:
        """Create an object."""
        self._run("create", "-f", "-", given=json.dumps(manifest))

    def pod_names(self) -> list[str]:
        """The pods that there are."""
        return [pod["metadata"]["name"] for pod in json.loads(self._run("get", "pods", "-o", "json"))["items"]]

    def pod(self, name: str) -> Json:
        """One pod."""
        found: Json = json.loads(self._run("get", "pod", name, "-o", "json"))
        return found

    def is_let_in(self) -> bool:
        """Whether the kubeconfig still counts; any other refusal is raised."""
        try:
            self.pod_names()
        except Refused as refusal:
            if UNAUTHORIZED in str(refusal) or "must be logged in" in str(refusal):
                return False
            raise
        return True

    def _run(self, *words: str, given: str | None = None) -> str:
        answer = subprocess.run(
            [*self._argv, *words], input=given, capture_output=True, text=True, check=False, timeout=SECONDS_MAX
        )
        if answer.returncode:
            raise Refused(answer.stderr.strip())
        return answer.stdout


def a_gpu_pod(name: str, **annotations: str) -> Json:
    """The simplest pod that wants a GPU; nothing in it speaks of Berth."""
    container = {"name": "main", "image": "busybox", "resources": {"limits": {"nvidia.com/gpu": "1"}}}
    spec = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [container]}
    metadata = {"name": name, "annotations": {f"kwok.berth.io/{key}": value for key, value in annotations.items()}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def why_it_waits(pod: Json) -> str:
    """What the scheduler says of a pod that is on no node."""
    conditions = pod["status"].get("conditions", [])
    return "; ".join(one.get("message", "") for one in conditions if one["type"] == "PodScheduled")

"""The agent's DaemonSet is what a real API server takes, and says what the agent asks for. No GPU node runs it here."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from cli.stack.folders import REPOSITORY
from domain.failures import ClusterRefused
from worker.settings import WorkerSettings

if TYPE_CHECKING:
    from clusters.connection import ClusterConnection

FILE = REPOSITORY / "deploy" / "node-agent" / "daemonset.yaml"
DAEMONSETS = "/apis/apps/v1/namespaces/default/daemonsets"
OTHERS = {"NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES"}


@pytest.fixture
def manifest() -> Any:
    return yaml.safe_load(FILE.read_text())


def tried(cluster: ClusterConnection, manifest: Any) -> Any:
    return cluster.create(DAEMONSETS, manifest, dryRun="All", fieldValidation="Strict")


def test_a_real_api_server_takes_it(cluster: ClusterConnection, manifest: Any) -> None:
    assert tried(cluster, manifest)["metadata"]["name"] == "berth-node-agent"


def test_a_real_api_server_would_notice_a_mistake(cluster: ClusterConnection, manifest: Any) -> None:
    manifest["spec"]["template"]["spec"]["nodeSelektor"] = {}
    with pytest.raises(ClusterRefused, match="nodeSelektor"):
        tried(cluster, manifest)


def test_its_environment_is_what_the_agent_reads(manifest: Any) -> None:
    [container] = manifest["spec"]["template"]["spec"]["containers"]
    told = {each["name"] for each in container["env"]} - OTHERS
    assert told <= {name.upper() for name in WorkerSettings.model_fields}
    assert {"BERTH_NODE_NAME", "DATABASE_URL"} <= told
    assert container["args"] == ["python", "-m", "worker", "node", "--cluster", "$(BERTH_CLUSTER)"]


def test_it_takes_no_gpu_from_anybody(manifest: Any) -> None:
    [container] = manifest["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"].keys() == {"memory"}


def test_its_user_is_the_images(manifest: Any) -> None:
    [container] = manifest["spec"]["template"]["spec"]["containers"]
    text = (REPOSITORY / "deploy" / "compose" / "Dockerfile").read_text()
    assert re.findall(r"--uid (\d+)", text) == [str(container["securityContext"]["runAsUser"])]

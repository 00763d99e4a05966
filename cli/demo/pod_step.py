"""The step in which a user's GPU pod runs on the granted node, through the issued kubeconfig and nothing else."""

from __future__ import annotations

import tempfile
from pathlib import Path

from cli.client import Gpr, Workspace
from cli.clock import looks
from cli.demo.pod import Kubectl, KubectlFailed, PodSight, gpu_pod
from cli.demo.stage import Stage, cluster_of, explained, step
from cli.failures import CommandFailed
from cli.workspaces import write_private

RUNNING_SECONDS_MAX = 15.0
"""No longer than the lease: later the pod has nothing to run on."""


def start_pod(stage: Stage, active: Gpr, workspace: Workspace) -> None:
    """Start the pod and see it run."""
    if stage.kubectl is None:
        stage.narrator.note("no kubectl was found: the GPU pod is left out", title="pod")
        return
    cluster = cluster_of(active)
    with step(stage, "pod", f"{cluster}.kube-scheduler"), tempfile.TemporaryDirectory() as folder:
        kubeconfig = Path(folder) / "kubeconfig"
        write_private(kubeconfig, stage.client.kubeconfig(workspace.name, cluster=cluster).kubeconfig)
        sight = _running(stage, Kubectl(stage.kubectl, kubeconfig), workspace.namespaces[0], active.name)
        if active.lease and sight.node not in {each.node for each in active.lease.nodes}:
            raise CommandFailed(f"the pod runs on {sight.node}, which was not granted")
        stage.narrator.done("pod", f"{active.name} runs on {sight.node}, started with the issued kubeconfig")


def _running(stage: Stage, kubectl: Kubectl, namespace: str, name: str) -> PodSight:
    def look() -> PodSight:
        try:
            kubectl.create(gpu_pod(namespace, name))
            return kubectl.pod(namespace, name)
        except KubectlFailed as failure:
            return PodSight("", "", f"{failure.message}: {failure.detail}")

    last = PodSight("", "")
    with explained(lambda: last.reason):
        for last in looks(look, stage.clock, what="the running pod", seconds_max=RUNNING_SECONDS_MAX):
            if last.phase == "Running":
                return last
            stage.narrator.running("pod", last.reason or f"{name} is {last.phase}")
    raise AssertionError  # looking ends by being too late

"""The demonstration step by step. It may be told again and again: what an earlier one left is used, not disturbed.

Each step has an end by which it must have come; one that has not says so, with the tail of the log of the part that
should have done it, and the Gpr is let go.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cli.client import ApiFailure, BerthClient, Gpr, NewGpr, NewWorkspace, NotFound, Workspace
from cli.client.answers import Node
from cli.clock import Clock, TooLate, looks
from cli.demo.hardware import smallest, why_none
from cli.demo.pod import Kubectl, KubectlFailed, PodSight, gpu_pod
from cli.demo.stretches import stretches
from cli.exits import ExitCode
from cli.failures import CommandFailed, told
from cli.gpr_view import outlook, place, wish
from cli.narration import Narrator
from cli.phrases import clock_time, counted, elapsed, span
from cli.watching import Watch
from cli.workspaces import until_ready, write_private
from domain.gpr import Phase

WORKSPACE = "demo"
LEASE_SECONDS = 15
HARDWARE_SECONDS_MAX = 90.0
"""A new installation sees its nodes at its first look at each cluster."""
QUEUE_SECONDS_MAX = 90.0
"""An earlier demonstration may still hold the workspace, or the GPU."""
ACTIVE_SECONDS_MAX = 60.0
POD_SECONDS_MAX = LEASE_SECONDS
RELEASE_SECONDS_MAX = 60.0


@dataclass(frozen=True, slots=True)
class Stage:
    """What the demonstration plays on. `log_tail` gives the last lines of a part's log."""

    client: BerthClient
    clock: Clock
    narrator: Narrator
    kubectl: Path | None
    log_tail: Callable[[str], str]


def play(stage: Stage) -> Gpr:
    """One Gpr through its whole life; returns it as it ended."""
    node, workspace = _prepare(stage)
    gpr = _submit(stage, node)
    try:
        active = _until_active(stage, gpr)
        _start_pod(stage, active, workspace)
        return _until_free(stage, active)
    except (CommandFailed, ApiFailure, KeyboardInterrupt):
        with suppress(ApiFailure):  # the first failure is the one to tell
            stage.client.release(gpr.id)
        raise


# --- before ---------------------------------------------------------------------------------------------------------


def _prepare(stage: Stage) -> tuple[Node, Workspace]:
    known = _known_workspace(stage.client)
    with _step(stage, "hardware", "core"):
        node = _wait_for_hardware(stage, known)
    with _step(stage, "workspace", f"cluster-{node.cluster}"):
        if known is None:
            stage.client.create_workspace(NewWorkspace(name=WORKSPACE, clusters=[node.cluster], namespaces=[WORKSPACE]))
        ready = until_ready(stage.client, stage.clock, WORKSPACE)
        where = f"namespace {', '.join(ready.namespaces)} on {', '.join(ready.clusters)}"
        stage.narrator.done("workspace", f"{WORKSPACE}: {where}" + (", from before" if known else ""))
    return node, ready


def _known_workspace(client: BerthClient) -> Workspace | None:
    try:
        return client.workspace(WORKSPACE)
    except NotFound:
        return None


def _wait_for_hardware(stage: Stage, known: Workspace | None) -> Node:
    clusters = known.clusters if known else []
    for nodes in looks(stage.client.nodes, stage.clock, what="a GPU node", seconds_max=HARDWARE_SECONDS_MAX):
        chosen = smallest(nodes, clusters)
        if chosen:
            gpus = sum(each.gpus for each in nodes)
            stage.narrator.done("hardware", f"{counted(len(nodes), 'node')}, {counted(gpus, 'GPU')}")
            return chosen
        stage.narrator.running("hardware", f"no GPU node is ready: {why_none(nodes)}")
    raise AssertionError  # looking ends by being too late


# --- the Gpr --------------------------------------------------------------------------------------------------------


def _submit(stage: Stage, node: Node) -> Gpr:
    with _step(stage, "submitted", "api"):
        gpr = stage.client.submit(
            NewGpr(
                workspace=WORKSPACE,
                name=f"demo-{stage.clock.now():%H%M%S}",
                duration=f"{LEASE_SECONDS}s",
                shape=node.shape,
                clusters=[node.cluster],
            )
        )
        stage.narrator.done("submitted", f"{gpr.name}: {wish(gpr)} for {span(LEASE_SECONDS)}, id {gpr.id}")
    return gpr


def _until_active(stage: Stage, gpr: Gpr) -> Gpr:
    with _step(stage, Phase.QUEUED, "core"):
        granted = _follow(stage, gpr, Phase.QUEUED, QUEUE_SECONDS_MAX)
        stage.narrator.done(Phase.QUEUED, f"granted {place(granted)}")
    with _step(stage, Phase.PROVISIONING, f"cluster-{_cluster(granted)}"):
        active = (
            granted
            if granted.phase is Phase.ACTIVE
            else _follow(stage, granted, Phase.PROVISIONING, ACTIVE_SECONDS_MAX)
        )
        if active.phase is not Phase.ACTIVE or active.end_at is None:
            raise _otherwise(stage, active)
        until = clock_time(active.end_at, stage.clock.now())
        stage.narrator.done(Phase.PROVISIONING, f"active until {until}")
    return active


def _until_free(stage: Stage, active: Gpr) -> Gpr:
    part = f"cluster-{_cluster(active)}"
    with _step(stage, Phase.ACTIVE, "core"):
        ending = _follow(stage, active, Phase.ACTIVE, LEASE_SECONDS + RELEASE_SECONDS_MAX)
        notices = [each.message for each in stage.client.notices(active.id) if each.delivered_at]
        stage.narrator.done(Phase.ACTIVE, "; ".join([_ended(stage, active), *notices]))
    with _step(stage, Phase.RELEASING, part):
        ended = ending if ending.ended else _follow(stage, ending, Phase.RELEASING, RELEASE_SECONDS_MAX)
        if ended.phase is not Phase.EXPIRED:
            raise _otherwise(stage, ended)
        stage.narrator.done(Phase.RELEASING, f"{ended.phase}; torn down and seen to be free")
    with _step(stage, "free", part):
        stage.narrator.done("free", _freedom(stage, ended))
    stage.narrator.note(stretches(ended, list(stage.client.events(ended.id))), title="in all")
    return ended


def _follow(stage: Stage, gpr: Gpr, phase: Phase, seconds_max: float) -> Gpr:
    """The Gpr as soon as it is no longer in this phase."""
    watch, last = Watch(stage.client, stage.clock, gpr.id), gpr
    with _explained(lambda: outlook(last, stage.clock.now())):
        for sight in watch.sights(what=f"the end of phase {phase}", seconds_max=seconds_max):
            last = sight.gpr
            if last.phase is not phase:
                return last
            stage.narrator.running(phase, sight.away or outlook(last, stage.clock.now()))
    raise AssertionError  # an ended Gpr is in another phase


def _ended(stage: Stage, active: Gpr) -> str:
    """How exactly the lease ended, by the server's own record."""
    began = [each.at for each in stage.client.events(active.id) if each.kind == "releasing"]
    if not began or active.end_at is None:
        return "the lease has ended"
    return f"the lease ended on time; release began {elapsed((began[-1] - active.end_at).total_seconds())} after"


def _freedom(stage: Stage, ended: Gpr) -> str:
    """What its nodes say; still held is a failure, for the Gpr has said that it is free."""
    own = {each.node for each in ended.lease.nodes} if ended.lease else set()
    nodes = [each for each in stage.client.nodes() if each.name in own and each.cluster == _cluster(ended)]
    held = [each.name for each in nodes for holder in each.holders if holder.gpr == ended.name]
    if held:
        raise CommandFailed(f"{', '.join(held)}: still held by {ended.name}")
    return ", ".join(f"{each.name}: {each.free_gpus} of {counted(each.gpus, 'GPU')} free" for each in nodes)


# --- the pod --------------------------------------------------------------------------------------------------------


def _start_pod(stage: Stage, active: Gpr, workspace: Workspace) -> None:
    if stage.kubectl is None:
        stage.narrator.note("no kubectl was found: the GPU pod is left out", title="pod")
        return
    cluster = _cluster(active)
    with _step(stage, "pod", f"{cluster}.kube-scheduler"), tempfile.TemporaryDirectory() as folder:
        kubeconfig = Path(folder) / "kubeconfig"
        write_private(kubeconfig, stage.client.kubeconfig(WORKSPACE, cluster=cluster).kubeconfig)
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
    with _explained(lambda: last.reason):
        for last in looks(look, stage.clock, what="the running pod", seconds_max=POD_SECONDS_MAX):
            if last.phase == "Running":
                return last
            stage.narrator.running("pod", last.reason or f"{name} is {last.phase}")
    raise AssertionError  # looking ends by being too late


# --- how each step is told ------------------------------------------------------------------------------------------


@contextmanager
def _step(stage: Stage, key: str, part: str) -> Iterator[None]:
    """A step that `part` does: what fails in it is told with the tail of that part's log."""
    stage.narrator.running(key, "")
    try:
        yield
    except (CommandFailed, ApiFailure) as failure:
        known = told(failure)
        stage.narrator.failed(key, known.message)
        raise CommandFailed(
            f"the demonstration stopped at '{key}': {known.message}",
            mend=known.mend or f"`berth status` and `berth logs {part}` say more; `berth up --no-demo` leaves it out",
            detail="\n".join(text for text in (known.detail, stage.log_tail(part)) if text),
            code=known.code,
        ) from failure


@contextmanager
def _explained(why: Callable[[], str]) -> Iterator[None]:
    """What came too late is told with what it last waited for."""
    try:
        yield
    except TooLate as failure:
        failure.detail = why()
        raise


def _otherwise(stage: Stage, gpr: Gpr) -> CommandFailed:
    return CommandFailed(f"it is {gpr.phase}: {outlook(gpr, stage.clock.now())}", code=ExitCode.OTHERWISE)


def _cluster(gpr: Gpr) -> str:
    return gpr.lease.cluster if gpr.lease else ""

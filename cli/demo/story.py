"""The demonstration step by step. It may be told again and again: what an earlier one left is used, not disturbed.

Each step has an end by which it must have come; one that has not says so, with the tail of the log of the part that
should have done it, and the Gpr is let go.
"""

from __future__ import annotations

from contextlib import suppress

from cli.client import ApiFailure, BerthClient, Gpr, NewGpr, NewWorkspace, NotFound, Workspace
from cli.client.answers import Node
from cli.clock import looks
from cli.demo.hardware import smallest, why_none
from cli.demo.pod_step import start_pod
from cli.demo.stage import Stage, cluster_of, explained, step
from cli.demo.stretches import stretches
from cli.exits import ExitCode
from cli.failures import CommandFailed
from cli.gpr_view import outlook, place, wish
from cli.phrases import clock_time, counted, elapsed, span
from cli.watching import Watch
from cli.workspaces import until_ready
from domain.gpr import Phase

WORKSPACE = "demo"
LEASE_SECONDS = 15
HARDWARE_SECONDS_MAX = 90.0
"""A new installation sees its nodes at its first look at each cluster."""
QUEUE_SECONDS_MAX = 90.0
"""An earlier demonstration may still hold the workspace, or the GPU."""
ACTIVE_SECONDS_MAX = 60.0
RELEASE_SECONDS_MAX = 60.0


def play(stage: Stage) -> Gpr:
    """One Gpr through its whole life; returns it as it ended."""
    node, workspace = _prepare(stage)
    gpr = _submit(stage, node)
    try:
        active = _until_active(stage, gpr)
        start_pod(stage, active, workspace)
        return _until_free(stage, active)
    except (CommandFailed, ApiFailure, KeyboardInterrupt):
        with suppress(ApiFailure):  # the first failure is the one to tell
            stage.client.release(gpr.id)
        raise


# --- before ---------------------------------------------------------------------------------------------------------


def _prepare(stage: Stage) -> tuple[Node, Workspace]:
    known = _known_workspace(stage.client)
    with step(stage, "hardware", "core"):
        node = _wait_for_hardware(stage, known)
    with step(stage, "workspace", f"cluster-{node.cluster}"):
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
    with step(stage, "submitted", "api"):
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
    with step(stage, Phase.QUEUED, "core"):
        granted = _follow(stage, gpr, Phase.QUEUED, QUEUE_SECONDS_MAX)
        stage.narrator.done(Phase.QUEUED, f"granted {place(granted)}")
    with step(stage, Phase.PROVISIONING, f"cluster-{cluster_of(granted)}"):
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
    part = f"cluster-{cluster_of(active)}"
    with step(stage, Phase.ACTIVE, "core"):
        ending = _follow(stage, active, Phase.ACTIVE, LEASE_SECONDS + RELEASE_SECONDS_MAX)
        notices = [each.message for each in stage.client.notices(active.id) if each.delivered_at]
        stage.narrator.done(Phase.ACTIVE, "; ".join([_ended(stage, active), *notices]))
    with step(stage, Phase.RELEASING, part):
        ended = ending if ending.ended else _follow(stage, ending, Phase.RELEASING, RELEASE_SECONDS_MAX)
        if ended.phase is not Phase.EXPIRED:
            raise _otherwise(stage, ended)
        stage.narrator.done(Phase.RELEASING, f"{ended.phase}; torn down and seen to be free")
    with step(stage, "free", part):
        stage.narrator.done("free", _freedom(stage, ended))
    stage.narrator.note(stretches(ended, list(stage.client.events(ended.id))), title="in all")
    return ended


def _follow(stage: Stage, gpr: Gpr, phase: Phase, seconds_max: float) -> Gpr:
    """The Gpr as soon as it is no longer in this phase."""
    watch, last = Watch(stage.client, stage.clock, gpr.id), gpr
    with explained(lambda: outlook(last, stage.clock.now())):
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
    nodes = [each for each in stage.client.nodes() if each.name in own and each.cluster == cluster_of(ended)]
    held = [each.name for each in nodes for holder in each.holders if holder.gpr == ended.name]
    if held:
        raise CommandFailed(f"{', '.join(held)}: still held by {ended.name}")
    return ", ".join(f"{each.name}: {each.free_gpus} of {counted(each.gpus, 'GPU')} free" for each in nodes)


def _otherwise(stage: Stage, gpr: Gpr) -> CommandFailed:
    return CommandFailed(f"it is {gpr.phase}: {outlook(gpr, stage.clock.now())}", code=ExitCode.OTHERWISE)

"""The life of a Gpr: wait for a grant, provision, run until the lease ends, tear down.

The ledger decides every move and this workflow carries it out. Each message and each ledger step hands back a `Standing`;
the newest version wins, so repeats, late signals and restarts from nothing all lead to the same place.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from domain.gpr import TERMINAL, EndCause, Phase
    from domain.messages import EXTENDED_SIGNAL, GPR_WORKFLOW, GRANTED_SIGNAL, RELEASE_SIGNAL, NodeGpus, Standing
    from workflows import visibility
    from workflows.activity_options import AWAIT_FREE, CHECK_NODE, PROVISION, TEAR_DOWN, on_cluster, on_ledger, on_node
    from workflows.signatures.bookkeeping import Bookkeeping
    from workflows.signatures.leases import (
        DeviceCheck,
        Devices,
        FencedGprAt,
        GprAt,
        Provisioning,
        ProvisioningFailure,
        QuarantineOrder,
        ReleaseOrder,
        StuckNode,
        Teardown,
        TeardownReport,
    )


AGENTS_ASKED_FIRST = "2026-11-agents-asked-before-a-lease"
"""What was granted before it does not ask nodes' agents until its teardown."""

ProvisioningStep = tuple[Callable[[Any, Standing], Any], str]
"""A step that gets the standing, and what to call it in Temporal's UI."""


@workflow.defn(name=GPR_WORKFLOW)
class GprWorkflow:
    """One Gpr, from submission to rest. A job's lifecycle (`workflows/job.py`) is this one with pods in it."""

    KIND = "gpr"

    @workflow.init
    def __init__(self, gpr_id: str) -> None:
        self._gpr_id = gpr_id
        self._standing: Standing | None = None
        self._saw_the_grant = False
        """Else its own pods may run already: this run goes on with what an earlier one began."""

    @workflow.run
    async def run(self, gpr_id: str) -> str:
        """Live through the phases until one is final; its name."""
        return await self._run(gpr_id)

    async def _run(self, gpr_id: str) -> str:
        try:
            self._take(await workflow.execute_activity_method(Bookkeeping.load_gpr, gpr_id, **on_ledger()))
            await self._live()
        except (asyncio.CancelledError, ActivityError) as error:
            if not is_cancelled_exception(error):
                raise
            await self._end_for_operator()
            raise
        return self._now.phase

    @workflow.signal(name=GRANTED_SIGNAL)
    def granted(self, standing: Standing) -> None:
        """GPUs are granted."""
        self._saw_the_grant = True
        self._take(standing)

    @workflow.signal(name=EXTENDED_SIGNAL)
    def extended(self, standing: Standing) -> None:
        """The end has moved."""
        self._take(standing)

    @workflow.signal(name=RELEASE_SIGNAL)
    def release(self, standing: Standing) -> None:
        """It is to end, or was cancelled in the queue."""
        self._take(standing)

    async def _live(self) -> None:
        while (phase := self._now.phase) not in TERMINAL:
            self._show()
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(self._gpr_id)
            if phase is Phase.QUEUED:
                await workflow.wait_condition(lambda: self._now.phase is not Phase.QUEUED)
            elif phase is Phase.PROVISIONING:
                await self._provision()
            elif phase is Phase.ACTIVE:
                await self._hold()
            else:
                await self._tear_down()
        self._show()

    async def _end_for_operator(self) -> None:
        """Somebody cancelled the workflow in Temporal: end the Gpr in good order before the workflow ends."""
        order = ReleaseOrder(self._gpr_id, EndCause.OPERATOR, workflow.now())
        self._take(
            await workflow.execute_activity_method(
                Bookkeeping.release_gpr, order, **on_ledger(), summary="cancelled by an operator"
            )
        )
        await self._live()

    # --- provisioning -------------------------------------------------------------------------------------------------

    async def _provision(self) -> None:
        granted = self._now
        steps = asyncio.create_task(self._provisioning_steps(granted))
        try:
            await workflow.wait_condition(lambda: steps.done() or self._ended_early)
        except asyncio.CancelledError:
            await stopped(steps)
            raise
        failure = await stopped(steps)
        if self._ended_early:
            return
        if failure is not None:
            await self._give_up(granted, failure)
            return
        at = FencedGprAt(self._gpr_id, granted.fence, workflow.now())
        self._take(await workflow.execute_activity_method(Bookkeeping.activate_gpr, at, **on_ledger()))

    async def _provisioning_steps(self, granted: Standing) -> None:
        asks = self._saw_the_grant and any(part.agent for part in granted.gpus)
        if asks and workflow.patched(AGENTS_ASKED_FIRST):
            await self._precheck_devices(granted)
        options = on_cluster(granted.cluster, PROVISION)
        for step, summary in self._provisioning_plan(granted):
            if not self._ended_early:
                await workflow.execute_activity_method(step, granted, **options, summary=summary)

    def _provisioning_plan(self, granted: Standing) -> list[ProvisioningStep]:
        where = _where(granted)
        return [
            (Provisioning.precheck_nodes, f"is there room: {where}"),
            (Provisioning.write_tokens, f"tokens: {where}"),
            (Provisioning.open_access, f"access: fence {granted.fence}"),
        ]

    async def _precheck_devices(self, granted: Standing) -> None:
        """Fails with `node_unfit` where an agent says that its GPUs are not at rest; where none answers, pods are judged alone."""
        asked = [part for part in granted.gpus if part.agent]
        answers = await asyncio.gather(*(self._precheck_node(granted.cluster, part) for part in asked))
        unfit = {part.node: found for part, found in zip(asked, answers, strict=True) if found}
        if unfit:
            why = "; ".join(f"node {node}: {', '.join(found)}" for node, found in unfit.items())
            raise ApplicationError(why, {"nodes": list(unfit)}, type="node_unfit")

    async def _precheck_node(self, cluster: str, part: NodeGpus) -> list[str]:
        check, options = DeviceCheck(part.node, part.ordinals), on_node(cluster, part.node, CHECK_NODE)
        try:
            return await workflow.execute_activity_method(
                Devices.precheck_devices, check, **options, summary=f"devices of {part.node}"
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            workflow.logger.warning("an agent does not answer", extra={"node": part.node, "failure": _reason(error)[0]})
            return []

    @property
    def _ended_early(self) -> bool:
        """Somebody ended it while it was being provisioned."""
        return self._now.phase is not Phase.PROVISIONING

    async def _give_up(self, granted: Standing, error: BaseException) -> None:
        failure, nodes = _reason(error)
        report = ProvisioningFailure(self._gpr_id, granted.fence, failure, nodes, workflow.now())
        self._take(
            await workflow.execute_activity_method(
                Bookkeeping.fail_provisioning, report, **on_ledger(), summary=failure[:200]
            )
        )

    # --- the lease runs -----------------------------------------------------------------------------------------------

    async def _hold(self) -> None:
        held = self._now
        if held.end_at is None:
            await workflow.wait_condition(lambda: self._has_news(held))
            return
        wake_at = min(held.end_at, held.next_notice_at or held.end_at)
        try:
            await workflow.wait_condition(
                lambda: self._has_news(held),
                timeout=max(wake_at - workflow.now(), timedelta()),
                timeout_summary=f"lease ends {visibility.clock(held.end_at)}",
            )
        except TimeoutError:
            await self._wake(held.end_at)

    def _has_news(self, held: Standing) -> bool:
        return self._now.version != held.version

    async def _wake(self, end_at: datetime) -> None:
        at = GprAt(self._gpr_id, workflow.now())
        step = Bookkeeping.expire_gpr if at.now >= end_at else Bookkeeping.deliver_notices
        self._take(await workflow.execute_activity_method(step, at, **on_ledger()))

    # --- teardown -----------------------------------------------------------------------------------------------------

    async def _tear_down(self) -> None:
        """The six steps: fence, clear, wait until free, ask the devices, take the tokens, close the lease."""
        held = self._now
        options = on_cluster(held.cluster, TEAR_DOWN)
        where = _where(held)
        await workflow.execute_activity_method(Teardown.fence_lease, held, **options, summary=f"fence {held.fence}")
        await workflow.execute_activity_method(Teardown.clear_pods, held, **options, summary=f"pods on {where}")
        stuck = await workflow.execute_activity_method(
            Teardown.await_free, held, **on_cluster(held.cluster, AWAIT_FREE), summary=f"until {where} are free"
        )
        stuck = [*stuck, *await self._ask_devices(held, {part.node for part in stuck})]
        if stuck:
            order = QuarantineOrder(held.cluster, stuck)
            await workflow.execute_activity_method(Teardown.quarantine_nodes, order, **options)
        await workflow.execute_activity_method(Teardown.take_tokens, held, **options)
        report = TeardownReport(self._gpr_id, held.fence, held.cluster, workflow.now(), stuck)
        self._take(await workflow.execute_activity_method(Bookkeeping.finish_release, report, **on_ledger()))

    async def _ask_devices(self, held: Standing, stuck: set[str]) -> list[StuckNode]:
        """Nodes whose devices are not free. A node without an agent was judged by its pods alone."""
        asked = [part for part in held.gpus if part.agent and part.node not in stuck]
        answers = await asyncio.gather(*(self._ask_node(held.cluster, part) for part in asked))
        return [answer for answer in answers if answer is not None]

    async def _ask_node(self, cluster: str, part: NodeGpus) -> StuckNode | None:
        check = DeviceCheck(part.node, part.ordinals)
        try:
            complaints = await workflow.execute_activity_method(
                Devices.verify_devices, check, **on_node(cluster, part.node), summary=f"devices of {part.node}"
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            return StuckNode(part.node, f"its agent does not answer: {_reason(error)[0]}")
        return StuckNode(part.node, "; ".join(complaints)) if complaints else None

    # --- where it stands ----------------------------------------------------------------------------------------------

    @property
    def _now(self) -> Standing:
        assert self._standing is not None
        return self._standing

    def _take(self, standing: Standing) -> None:
        """Go by this standing unless a newer one is known."""
        if self._standing is None or standing.version >= self._standing.version:
            self._standing = standing

    def _show(self) -> None:
        standing = self._now
        visibility.show(
            _details(standing),
            visibility.KIND.value_set(self.KIND),
            visibility.WORKSPACE.value_set(standing.workspace),
            visibility.CLUSTER.value_set(standing.cluster),
            visibility.PHASE.value_set(standing.phase),
            visibility.PRIORITY.value_set(standing.priority),
        )


async def stopped(steps: asyncio.Task[None]) -> BaseException | None:
    """Cancel the steps unless they are done, and wait until they have really ended; how they failed, if they did."""
    steps.cancel()
    try:
        await steps
    except (ActivityError, ApplicationError, asyncio.CancelledError) as error:
        return error
    return None


def _where(standing: Standing) -> str:
    return ", ".join(f"{len(part.ordinals)} GPU(s) of {part.node}" for part in standing.gpus)


def _details(standing: Standing) -> str:
    parts = [f"{standing.name} of {standing.workspace}: {standing.phase}"]
    if standing.gpus:
        parts.append(f"holds {_where(standing)} in {standing.cluster}")
    if standing.end_at is not None:
        parts.append(f"until {visibility.clock(standing.end_at)}")
    if standing.end_cause:
        parts.append(f"ends because of {standing.end_cause.replace('_', ' ')}")
    return ", ".join(parts)


def _reason(error: BaseException) -> tuple[str, list[str]]:
    """The failure in words, and the nodes at fault, from an activity's error or from this workflow's own."""
    cause = error if isinstance(error, ApplicationError) else error.__cause__
    if isinstance(cause, ApplicationError):
        nodes = cause.details[0].get("nodes", []) if cause.details and isinstance(cause.details[0], dict) else []
        return cause.message, [str(node) for node in nodes]
    return str(cause or error), []

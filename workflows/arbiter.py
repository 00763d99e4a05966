"""The arbiter: one per scheduling domain, without state. A kick is a dirty bit; a pass grants, and estimates follow.

However many kicks arrive during a pass, one more pass follows. A pass also runs on its own every so often, since time
alone moves estimates and ends back-offs.
"""

import asyncio
from contextlib import suppress
from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.messages import ARBITER_WORKFLOW, KICK_SIGNAL
    from workflows import visibility
    from workflows.activity_options import ARBITER, on_ledger
    from workflows.signatures.bookkeeping import Bookkeeping

PASS_INTERVAL_MAX = timedelta(seconds=20)
PASSES_PER_RUN_MAX = 400
"""A pass is about ten events; a new run begins long before histories become heavy."""


@workflow.defn(name=ARBITER_WORKFLOW)
class ArbiterWorkflow:
    """Runs passes for one scheduling domain."""

    @workflow.init
    def __init__(self, scheduling_domain: str) -> None:
        self._scheduling_domain = scheduling_domain
        self._kicked = True
        self._stale = False
        self._estimating: asyncio.Task[None] | None = None

    @workflow.run
    async def run(self, scheduling_domain: str) -> None:
        """Pass after pass, then a new run."""
        visibility.show(f"arbiter of {scheduling_domain}", visibility.KIND.value_set("arbiter"))
        for _ in range(PASSES_PER_RUN_MAX):
            await self._wait_for_kick()
            await workflow.execute_activity_method(Bookkeeping.arbitrate, workflow.now(), **on_ledger(ARBITER))
            self._estimate_soon()
        if self._estimating is not None:
            await self._estimating
        workflow.continue_as_new(scheduling_domain)

    @workflow.signal(name=KICK_SIGNAL)
    def kick(self) -> None:
        """Something changed."""
        self._kicked = True

    def _estimate_soon(self) -> None:
        """Estimates of a long queue take a second or so; grants do not wait for them."""
        self._stale = True
        if self._estimating is None or self._estimating.done():
            self._estimating = asyncio.create_task(self._estimate())

    async def _estimate(self) -> None:
        while self._stale:
            self._stale = False
            await workflow.execute_activity_method(Bookkeeping.estimate, workflow.now(), **on_ledger(ARBITER))

    async def _wait_for_kick(self) -> None:
        with suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._kicked, timeout=PASS_INTERVAL_MAX, timeout_summary="next pass without a kick"
            )
        self._kicked = False

"""Temporal with time skipping, and workers in this process over the real ledger and the real cluster."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest_asyncio
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from tests.workflows.stage import Stage
from workflows.visibility import SEARCH_ATTRIBUTES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from clusters.connection import ClusterConnection
    from ledger.connection import Ledger

DYNAMIC_CONFIG = {
    "frontend.WorkflowTimeSkippingEnabled": "true",
    "history.timerProcessorMaxTimeShift": '"1ms"',
    "history.transferProcessorMaxPollRPS": "500",
    "history.timerProcessorMaxPollRPS": "500",
    "history.visibilityProcessorMaxPollRPS": "500",
}


@asynccontextmanager
async def time_skipping_environment() -> AsyncIterator[WorkflowEnvironment]:
    """A real Temporal server whose workflows skip time."""
    arguments = [part for key, value in DYNAMIC_CONFIG.items() for part in ("--dynamic-config-value", f"{key}={value}")]
    async with await WorkflowEnvironment.start_time_skipping_v2(
        dev_server_existing_path=str(Path(sys.executable).parent / "temporal"),
        dev_server_log_level="error",
        dev_server_extra_args=arguments,
        dev_server_startup_timeout=timedelta(seconds=30),
        data_converter=pydantic_data_converter,
        search_attributes=list(SEARCH_ATTRIBUTES),
    ) as environment:
        yield environment


@pytest_asyncio.fixture(scope="session")
async def skipping() -> AsyncIterator[WorkflowEnvironment]:
    async with time_skipping_environment() as environment:
        yield environment


@pytest_asyncio.fixture
async def stage(skipping: WorkflowEnvironment, ledger: Ledger, cluster: ClusterConnection) -> AsyncIterator[Stage]:
    async with Stage(skipping, ledger, cluster) as opened:
        yield opened

"""The API on a real ledger; Temporal's and the clusters' ends are recorded, and a stand-in finishes workspaces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.api.api_kit import TheApi, opened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cli.stack.testing import Postgres


@pytest_asyncio.fixture(scope="module")
async def api(postgres: Postgres, migrated_template: str) -> AsyncIterator[TheApi]:
    """One database per module; tests make workspaces and principals of their own in it."""
    async with opened(postgres.create_database(template=migrated_template)) as the_api:
        await the_api.register_clusters("worker-1", "worker-2")
        yield the_api


@pytest.fixture(autouse=True)
def at_its_defaults(request: pytest.FixtureRequest) -> None:
    if "api" in request.fixturenames:
        request.getfixturevalue("api").reset()

"""One whole stack for all system tests: up with `berth up`, down and forgotten with `berth down --purge`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.system.installation import running_installation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.system.installation import Installation


@pytest.fixture(scope="session")
def installation() -> Iterator[Installation]:
    with running_installation() as running:
        yield running

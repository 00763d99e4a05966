from __future__ import annotations

from collections.abc import Iterator

import pytest

from planner import promises, timeline
from planner.axis import SECOND


@pytest.fixture(scope="module")
def small_pages() -> Iterator[None]:
    """Small worlds have few changes, and are to turn pages all the same; what is late is soon too late."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timeline, "PAGE_CHANGES_MAX", 3)
        patch.setattr(promises, "SLACK", 2 * SECOND)
        yield

from __future__ import annotations

from collections.abc import Iterator

import pytest

from planner import timeline


@pytest.fixture(scope="module")
def small_pages() -> Iterator[None]:
    """Small worlds have few changes, and are to turn pages all the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timeline, "PAGE_CHANGES_MAX", 3)
        yield

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.pure.planner.worlds import small_pages_patched


@pytest.fixture(scope="module")
def small_pages() -> Iterator[None]:
    with small_pages_patched():
        yield

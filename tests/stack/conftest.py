"""Folders for stacks: short, enterable by PostgreSQL's user, and gone afterwards with all that ran there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cli.stack.folders import temporary
from cli.stack.guard import clear, guarded
from cli.stack.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cli.stack.roster import Roster


@pytest.fixture
def roster() -> Iterator[Roster]:
    with guarded() as one:
        yield one


@pytest.fixture
def home() -> Iterator[Path]:
    """The folder of all stacks."""
    folder = temporary()
    yield folder
    for place in folder.iterdir():
        clear(place)
    clear(folder)


@pytest.fixture
def a_stack(home: Path) -> Callable[[str], Stack]:
    return lambda name: Stack(name, home / name)

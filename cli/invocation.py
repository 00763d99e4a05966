"""How this command is called on this machine, so that what is printed can be typed."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from cli.stack.folders import REPOSITORY

SCRIPT = REPOSITORY / "berth"


def command() -> str:
    """`berth` where the PATH leads to this very installation, else the script of the repository."""
    on_path = shutil.which("berth")
    if on_path and _is_this(Path(on_path)):
        return "berth"
    return "./berth" if Path.cwd() == REPOSITORY else os.fspath(SCRIPT)


def _is_this(found: Path) -> bool:
    return found.resolve() in {Path(sys.argv[0]).resolve(), SCRIPT}

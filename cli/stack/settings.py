"""What a stack remembers about itself: its ports, chosen once, and the parts it was attached to.

One JSON file, private to the user: a database's URL holds a password, and the key to the ledger's secrets is here.
"""

from __future__ import annotations

import json
import os
import re
from base64 import urlsafe_b64encode
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from cli.stack import locks, ports
from cli.stack.attachments import Attachments
from cli.stack.failures import StackError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FILE = "stack.json"
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")
SECRETS_KEY_BYTES = 32
UNLISTED_PORT = 26_400
"""Where ports that nobody needs to know are looked for."""

PREFERRED = {
    "api": 8000,
    "temporal.grpc": 7233,
    "temporal.ui": 8233,
    "temporal.http": 7243,
    "postgres": 5433,
    "worker-1.api": 16_443,
    "worker-2.api": 17_443,
}


@dataclass(slots=True)
class Settings:
    """The remembered part of one stack."""

    folder: Path
    ports: dict[str, int] = field(default_factory=dict)
    attached: Attachments = field(default_factory=Attachments)
    secrets_keys: str = ""
    """Made once: with it the ledger's secrets are sealed, and without it they are lost."""

    def ensure_secrets_key(self) -> None:
        """Make the key, unless there is one."""
        if not self.secrets_keys:
            self.secrets_keys = urlsafe_b64encode(os.urandom(SECRETS_KEY_BYTES)).decode()
            self.save()

    def save(self) -> None:
        """Write the file anew, whole or not at all."""
        content = {"ports": self.ports, "attached": asdict(self.attached), "secrets_keys": self.secrets_keys}
        fresh = self.folder / f".{FILE}.{os.getpid()}"
        fresh.touch(mode=0o600)
        fresh.write_text(json.dumps(content, indent=2))
        fresh.replace(self.folder / FILE)

    def claim(self, purposes: Iterable[str]) -> list[str]:
        """Give each purpose a port that is free now and in no other stack's book; returns those that moved.

        One command at a time chooses, so that two first starts side by side cannot take the same port.
        """
        moved = []
        with locks.held(self.folder.parent / "ports.lock"):
            taken = set(self._of_others())
            for purpose in purposes:
                known = self.ports.get(purpose)
                if known is not None and ports.is_free(known):
                    continue
                own = {port for other, port in self.ports.items() if other != purpose}
                self.ports[purpose] = ports.free_near(PREFERRED.get(purpose, UNLISTED_PORT), taken | own)
                moved += [purpose] if known is not None else []
            self.save()
        return moved

    def _of_others(self) -> Iterable[int]:
        for file in self.folder.parent.glob(f"*/{FILE}"):
            if file.parent != self.folder:
                yield from json.loads(file.read_text())["ports"].values()


def load(folder: Path) -> Settings:
    """The settings of a stack; empty ones where none was made yet."""
    try:
        content = json.loads((folder / FILE).read_text())
    except FileNotFoundError:
        return Settings(folder)
    return Settings(folder, content["ports"], Attachments(**content["attached"]), content.get("secrets_keys", ""))


def exists(folder: Path) -> bool:
    """Whether a stack was made here."""
    return (folder / FILE).exists()


def require_name(name: str) -> str:
    """A stack's name becomes a folder's."""
    if not NAME.fullmatch(name):
        raise StackError(f"{name!r} cannot name a stack", mend="lower-case letters, digits and dashes, at most 32")
    return name

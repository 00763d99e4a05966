"""Boxes that somebody asked a whole installation for, met as its API answers them; and time that passes faster in its ledger."""

from __future__ import annotations

import asyncio
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.cookiejar import CookieJar
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import UUID

from domain.messages import EXTENDED_SIGNAL, tell_gpr
from ledger import lifecycle, outbox
from ledger.connection import Ledger
from tests.system.freedom import left_of_jobs, until
from tests.system.outside import private_key
from tests.system.real_boxes import SECONDS_MAX, Enterable, Person, mounts_of

if TYPE_CHECKING:
    from cli.stack.real_node import RealNode
    from tests.system.gpudev import GpuDev
    from tests.system.installation import Installation

Json = dict[str, Any]

GONE_SECONDS_MAX = 60.0


def known_to_github(name: str, folder: Path) -> Person:
    """Somebody who has at home the key of which GitHub has the public half."""
    person = Person(name, folder)
    key = Path(person.key)
    key.touch(mode=0o600)
    key.write_text(private_key(name))
    return person


@dataclass(frozen=True, slots=True)
class AnsweredBox(Enterable):
    """A box by what the API says of it, asked each time."""

    user: GpuDev
    id: str
    uid: str
    """Of its pod."""

    @classmethod
    def comes_up(cls, installation: Installation, user: GpuDev, **wish: Any) -> AnsweredBox:
        """Asked for, and active."""
        job_id = user.submit(**wish)
        pod_name = user.comes_to(job_id, "active", SECONDS_MAX)["pod_name"]
        (pod,) = pods_of(installation, job_id)
        assert pod["metadata"]["name"] == pod_name
        return cls(user, job_id, pod["metadata"]["uid"])

    @property
    def answer(self) -> Json:
        """All of it."""
        return self.user.job(self.id)

    @property
    def ssh_command(self) -> str:
        return str(self.answer["ssh_command"])

    def jupyter_comes_up(self) -> str:
        """Its address as it is answered, once it answers there."""
        self.user.ask("POST", f"/jobs/{self.id}/jupyter/enable")
        url = str(until(lambda: self.answer["jupyter_url"], "the address of Jupyter", SECONDS_MAX))
        until(lambda: page_at(url), "Jupyter", SECONDS_MAX)
        return url

    def is_gone(self, installation: Installation, node: RealNode) -> bool:
        """Nothing of it is in the cluster; nothing of it runs on the machine, or is mounted there."""
        until(lambda: left_of_jobs(installation, self.id) == [], "the end of the box", GONE_SECONDS_MAX)
        return node.processes_of(self.uid) == set() and mounts_of(node, self.uid) == []


def pods_of(installation: Installation, job_id: str) -> list[Json]:
    """The pods of a box."""
    found = (one.items("/api/v1/pods", labelSelector=f"berth.io/job={job_id}") for one in installation.clusters())
    return [pod for pods in found for pod in pods]


def page_at(url: str) -> str:
    """The path of the page at which a browser ends that is sent there; "" where nobody answers."""
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    try:
        with opener.open(url, timeout=5) as answer:
            return urlsplit(str(answer.geturl())).path
    except OSError:
        return ""


def end_in(installation: Installation, box: AnsweredBox, left: timedelta) -> None:
    """Move the end of its lease, as an extension does, but to an instant that is near. All that follows is Berth's own."""
    asyncio.run(_move_end(installation.tables.url, UUID(box.id), left))


async def _move_end(url: str, gpr_id: UUID, left: timedelta) -> None:
    ledger, now = Ledger(url), datetime.now(UTC)
    try:
        async with ledger.transaction() as connection:
            standing = await lifecycle.move_end(connection, gpr_id, now + left, now, "whoever tests")
            await outbox.put(connection, tell_gpr(EXTENDED_SIGNAL, standing))
    finally:
        await ledger.close()

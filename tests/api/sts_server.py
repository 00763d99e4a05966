"""AWS STS as moto serves it, checking signatures; in a process and a folder of its own, for its dependencies are not ours."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import httpx

from api.auth.aws import AwsCredentials
from cli.stack.folders import cache_root
from cli.stack.ports import free_anywhere

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCOUNT = "123456789012"
ROLE = "SSOCloudDevGpuReservation"
LOCK = Path(__file__).with_name("moto.lock")
NO_CHECKS = b"1000000000"
START_SECONDS_MAX = 60


@dataclass
class StsServer:
    """A running moto."""

    url: str

    def check_signatures(self, *, wanted: bool = True) -> None:
        """Off, whoever names a key is believed."""
        httpx.post(f"{self.url}/moto-api/reset-auth", content=b"0" if wanted else NO_CHECKS).raise_for_status()

    def session(self, name: str, role: str = ROLE, account: str = ACCOUNT) -> AwsCredentials:
        """Credentials of somebody who took on a role under this name."""
        self.check_signatures(wanted=False)
        asked = {"Action": "AssumeRole", "Version": "2011-06-15", "RoleSessionName": name}
        asked["RoleArn"] = f"arn:aws:iam::{account}:role/{role}"
        scope = "AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/sts/aws4_request"
        headers = {"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"}
        answer = httpx.post(self.url, data=asked, headers=headers).raise_for_status()
        found = {one.tag.rpartition("}")[2]: one.text or "" for one in ET.fromstring(answer.text).iter()}
        self.check_signatures()
        return AwsCredentials(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])


@contextmanager
def running_sts() -> Iterator[StsServer]:
    port = free_anywhere(1)[0]
    environment = {**os.environ, "PYTHONPATH": str(_installed())}
    argv = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(argv, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        server = StsServer(f"http://127.0.0.1:{port}")
        _await_answer(server)
        yield server
    finally:
        process.kill()
        process.wait()


def _await_answer(server: StsServer) -> None:
    give_up_at = time.monotonic() + START_SECONDS_MAX
    while True:
        try:
            server.check_signatures()
        except httpx.TransportError:
            assert time.monotonic() < give_up_at, "moto does not start"
            time.sleep(0.1)
        else:
            return


def _installed() -> Path:
    """The folder of what the lock file names, filled once and kept."""
    folder = cache_root() / f"moto-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]}-{sys.version_info.minor}"
    if not folder.exists():
        filling = folder.with_name(f"{folder.name}.{os.getpid()}")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
        subprocess.run([*pip, "--require-hashes", "-r", LOCK, "--target", filling], check=True, capture_output=True)
        with suppress(OSError):  # another run was faster
            filling.rename(folder)
    return folder

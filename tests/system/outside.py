"""What lies outside of an installation, standing in for AWS and GitHub: its processes are told of it by their environment."""

from __future__ import annotations

import hashlib
import os
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.api.sts_server import ACCOUNT, ROLE, StsServer, running_sts

if TYPE_CHECKING:
    from collections.abc import Iterator

STS_URL = "BERTH_AWS_STS_URL"
CLEAN_SECONDS = "4"
"""Of readings, before a GPU that had a fault is used again: nobody waits ten minutes for a test."""


@contextmanager
def outside() -> Iterator[None]:
    """STS, GitHub and a short patience, for every process that this one starts from now on, also again after a kill."""
    with running_sts() as sts, _running_github() as github:
        said = {
            STS_URL: sts.url,
            "BERTH_AWS_ACCOUNTS": ACCOUNT,
            "BERTH_AWS_ROLES": ROLE,
            "BERTH_GITHUB_URL": github,
            "BERTH_RECOVERY_CLEAN_SECONDS": CLEAN_SECONDS,
        }
        before = {name: os.environ[name] for name in said if name in os.environ}  # another installation may be up
        os.environ |= said
        try:
            yield
        finally:
            for name in said.keys() - before.keys():
                del os.environ[name]
            os.environ |= before


def credentials(name: str) -> dict[str, str]:
    """What AWS gives to a person of this name in the role that may log in."""
    session = StsServer(os.environ[STS_URL]).session(name)
    return {
        "aws_access_key_id": session.access_key_id,
        "aws_secret_access_key": session.secret_access_key,
        "aws_session_token": session.session_token,
    }


def public_key(name: str) -> str:
    """The one key that GitHub has of a person."""
    return _key(name).public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def private_key(name: str) -> str:
    """What that person has of it at home, as ssh reads it."""
    return _key(name).private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()


def _key(name: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())


class _GitHub(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        name = self.path.removeprefix("/").removesuffix(".keys")
        content = f"{public_key(name)}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name for it
        """Nobody reads it."""


@contextmanager
def _running_github() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _GitHub)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        serving.join()
        server.server_close()

"""The one door to a Kubernetes API: JSON in and out, every call bounded in time, every failure in Berth's words.

The client library reads kubeconfigs and does TLS, credentials and the connection pool. Its typed models are left aside:
decoding them costs several times the call itself, and what Berth reads is a handful of fields. Which paths are called,
and what a body says, is left to the modules beside this one.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import urllib3
import yaml
from kubernetes.client import ApiClient, Configuration
from kubernetes.client.exceptions import ApiException
from kubernetes.client.rest import RESTResponse
from kubernetes.config import ConfigException, load_kube_config
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from clusters.failures import ListExpired, ObjectMissing, refusal, unreachable
from domain.failures import ClusterRefused

Json = dict[str, Any]

CONNECT_SECONDS: Final = 3.0
READ_SECONDS: Final = 15.0
POOL_SIZE: Final = 32
"""Connections kept for threads that use one cluster at the same time; more are opened when needed, and not kept."""
PAGE_SIZE: Final = 1000
FIELD_MANAGER: Final = "berth"

Query = Mapping[str, str]
_NO_QUERY: Final[Query] = MappingProxyType({})
_UNUSABLE = (ConfigException, OSError, ValueError, TypeError, yaml.YAMLError)
"""What the library raises for a kubeconfig that is none; it checks little before it reads."""
_JSON = "application/json"
_ACCEPTED = f"{_JSON}, */*"
"""A log is text."""
_CHANNELS: Final = Subprotocol("v4.channel.k8s.io")
"""Output, errors and status of a command, each as messages of its own."""
_MERGE_PATCH = "application/merge-patch+json"
_APPLY_PATCH = "application/apply-patch+yaml"


class ClusterConnection:
    """One cluster's API. Safe to share between threads; makes no call until it is used."""

    def __init__(self, name: str, configuration: Configuration) -> None:
        configuration.retries = False  # whoever calls knows whether, and how long, to try again
        configuration.connection_pool_maxsize = POOL_SIZE
        self.name = name
        self.server = str(configuration.host)
        self.tls_server_name = configuration.tls_server_name or ""
        self.certificate_authority = _take_certificate_authority(configuration)
        self._api = ApiClient(configuration)

    @classmethod
    def from_kubeconfig(cls, name: str, path: Path) -> ClusterConnection:
        """The cluster that the kubeconfig's current context points to."""
        configuration = Configuration()
        try:
            load_kube_config(str(path), client_configuration=configuration, persist_config=False)  # type: ignore[no-untyped-call]
        except _UNUSABLE as problem:
            raise ClusterRefused(f"cluster {name!r}: {path} is not a usable kubeconfig: {problem}") from problem
        return cls(name, configuration)

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._api.close()  # type: ignore[no-untyped-call]

    def get(self, path: str, **query: str) -> Json:
        """Read one object, or raise ObjectMissing."""
        return self._object(self._call("GET", path, query))

    def find(self, path: str) -> Json | None:
        """Read one object, or None."""
        try:
            return self.get(path)
        except ObjectMissing:
            return None

    def items(self, path: str, **query: str) -> list[Json]:
        """All objects of a list, read page by page; in one piece where the pages went stale meanwhile."""
        try:
            return self._pages(path, query)
        except ListExpired:
            return list(self.get(path, **query)["items"] or [])

    def create(self, path: str, body: Json, **query: str) -> Json:
        """Create an object, or raise ObjectConflict where the name is taken."""
        return self._object(self._call("POST", path, query, body))

    def apply(self, path: str, body: Json) -> Json:
        """Server-side apply: these fields are ours, whoever set them before. The same body again writes nothing."""
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        return self._object(self._call("PATCH", path, query, body, _APPLY_PATCH))

    def merge(self, path: str, body: Json) -> Json:
        """JSON merge patch: null removes, and removing what is not there changes nothing."""
        query = {"fieldManager": FIELD_MANAGER}
        return self._object(self._call("PATCH", path, query, body, _MERGE_PATCH))

    def delete(self, path: str, *, uid: str = "", grace_seconds: int | None = None) -> None:
        """Begin to delete an object, only the one with this uid where given; or ObjectMissing, ObjectConflict."""
        options: Json = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if uid:
            options["preconditions"] = {"uid": uid}
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        self._call("DELETE", path, body=options)

    def text(self, path: str, **query: str) -> str:
        """Read what is no object: the log of a pod."""
        return self._read(self._send("GET", path, query)).decode(errors="replace")

    def text_lines(self, path: str, silence_seconds: float, **query: str) -> Iterator[str]:
        """Lines as they come, until the server or a silence ends them."""
        response = self._send("GET", path, query, read_seconds=silence_seconds).response
        try:
            yield from _lines(response.stream(amt=None, decode_content=True))
        except urllib3.exceptions.ReadTimeoutError:
            return
        except urllib3.exceptions.HTTPError as problem:
            raise unreachable(self.name, problem) from problem
        finally:
            response.close()

    @contextmanager
    def conversation(self, path: str, query: Sequence[tuple[str, str]]) -> Iterator[ClientConnection]:
        """A websocket into a container. What is said on it, and for how long, is the caller's affair."""
        _, url, headers, *_ = self._api.param_serialize(
            "GET", path, query_params=[*query], auth_settings=["BearerToken"]
        )
        try:
            opened = connect(
                f"ws{url.removeprefix('http')}",
                ssl=self._tls() if url.startswith("https") else None,
                server_hostname=self.tls_server_name or None,
                subprotocols=[_CHANNELS],
                additional_headers=headers,
                compression=None,
                proxy=self._api.configuration.proxy or None,
                open_timeout=CONNECT_SECONDS,
                close_timeout=CONNECT_SECONDS,
            )
        except InvalidStatus as answer:
            body = bytes(answer.response.body or b"")
            raise refusal(self.name, f"GET {path}", answer.response.status_code, body) from answer
        except (OSError, WebSocketException) as problem:
            raise unreachable(self.name, problem) from problem
        with opened as conversation:
            yield conversation

    def lines(self, path: str, **query: str) -> Iterator[Json]:
        """The events of a watch, as they come, until the server or a silence of READ_SECONDS ends it."""
        response = self._send("GET", path, query).response
        try:
            yield from _decoded_lines(response.stream(amt=None, decode_content=True))
        except urllib3.exceptions.HTTPError as problem:
            raise unreachable(self.name, problem) from problem
        finally:
            response.close()

    def _tls(self) -> ssl.SSLContext:
        configuration = self._api.configuration
        context = ssl.create_default_context(cadata=self.certificate_authority or None)
        if not configuration.verify_ssl:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if configuration.cert_file:
            context.load_cert_chain(configuration.cert_file, configuration.key_file)
        return context

    def _pages(self, path: str, query: Query) -> list[Json]:
        found: list[Json] = []
        place = ""
        while True:
            page = self.get(path, **query, limit=str(PAGE_SIZE), **({"continue": place} if place else {}))
            found += page["items"] or []
            place = page["metadata"].get("continue", "")
            if not place:
                return found

    def _call(
        self, method: str, path: str, query: Query = _NO_QUERY, body: Json | None = None, form: str = _JSON
    ) -> bytes:
        return self._read(self._send(method, path, query, body, form))

    def _send(
        self,
        method: str,
        path: str,
        query: Query = _NO_QUERY,
        body: Json | None = None,
        form: str = _JSON,
        *,
        read_seconds: float = READ_SECONDS,
    ) -> RESTResponse:
        request = self._api.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params={"Accept": _ACCEPTED, "Content-Type": form},
            body=body,
            auth_settings=["BearerToken"],
        )
        try:
            response = self._api.call_api(*request, _request_timeout=(CONNECT_SECONDS, read_seconds))
        except (ApiException, urllib3.exceptions.HTTPError) as problem:
            raise unreachable(self.name, problem) from problem
        if response.status >= HTTPStatus.MULTIPLE_CHOICES:
            raise refusal(self.name, f"{method} {path}", response.status, self._read(response))
        return response

    def _object(self, text: bytes) -> Json:
        try:
            content: Json = json.loads(text)
        except ValueError as problem:
            raise unreachable(self.name, problem) from problem
        return content

    def _read(self, response: RESTResponse) -> bytes:
        try:
            text: bytes = response.response.data
        except urllib3.exceptions.HTTPError as problem:
            raise unreachable(self.name, problem) from problem
        return text


def _decoded_lines(chunks: Iterator[bytes]) -> Iterator[Json]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (json.loads(line) for line in lines if line)


def _lines(chunks: Iterator[bytes]) -> Iterator[str]:
    """Whole lines only: one that was cut is read again by whoever goes on from the line before."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line.decode(errors="replace") for line in lines)
    if rest:
        yield rest.decode(errors="replace")


def _take_certificate_authority(configuration: Configuration) -> str:
    """The authority's PEM, or "" where the system's are trusted. Kept here: the library's file may be swept from /tmp."""
    if not configuration.ssl_ca_cert:
        return str(configuration.ca_cert_data or "")
    configuration.ca_cert_data = Path(configuration.ssl_ca_cert).read_text()
    configuration.ssl_ca_cert = None
    return configuration.ca_cert_data

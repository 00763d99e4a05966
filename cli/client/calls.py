"""The native API as Python: one method for each thing that can be asked. Synchronous, typed, safe to repeat.

    with BerthClient("http://127.0.0.1:8000", key) as berth:
        gpr = berth.submit(NewGpr(workspace="demo", name="train", duration="1h", shape="Tesla-T4"))

Every method may raise what `failures` lists. A create carries an Idempotency-Key of its own, so that a retry after
a broken connection makes nothing twice; give one to make that hold between two runs of your program too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote
from uuid import UUID, uuid4

from pydantic import BaseModel, ValidationError

from cli.client.answers import (
    Answer,
    Caller,
    Cluster,
    CreatedKey,
    Event,
    Gpr,
    Health,
    Key,
    Kubeconfig,
    Node,
    Notice,
    Pool,
    Price,
    Quota,
    Workspace,
)
from cli.client.failures import UNEXPECTED, ApiFailure, Invalid
from cli.client.requests import GprChange, NewGpr, NewKey, NewPool, NewWorkspace, PoolChange, PriceSetting, QuotaSetting
from cli.client.transport import Call, Transport
from domain.gpr import Phase

PREFIX = "/berth/v1"
PAGE_SIZE = 100

Shape = TypeVar("Shape", bound=BaseModel)


class BerthClient:
    """One server, one credential."""

    def __init__(self, url: str, api_key: str = "", *, transport: Transport | None = None) -> None:
        self._transport = transport or Transport(url, api_key)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._transport.close()

    # --- Gprs ---------------------------------------------------------------------------------------------------------

    def submit(self, wanted: NewGpr, *, idempotency_key: str = "") -> Gpr:
        """Ask for GPUs; the Gpr comes back queued."""
        return self._create(Gpr, "gprs", wanted.given(), idempotency_key)

    def gpr(self, gpr_id: UUID | str) -> Gpr:
        """One Gpr, by either of its ids."""
        return self._get(Gpr, f"gprs/{_segment(gpr_id)}")

    def gprs(self, *, workspace: str = "", phases: Collection[Phase] = ()) -> Iterator[Gpr]:
        """All that the caller may see, newest first; pages are fetched as they are needed."""
        return self._pages(Gpr, "gprs", workspace=workspace, phase=",".join(phases))

    def change_gpr(self, gpr_id: UUID | str, change: GprChange) -> Gpr:
        """Another priority while it is queued, another name at any time."""
        return self._read(Gpr, Call("PATCH", f"{PREFIX}/gprs/{_segment(gpr_id)}", body=change.given()))

    def release(self, gpr_id: UUID | str) -> Gpr:
        """End it now, or take it out of the queue; one that has ended stays as it is."""
        return self._read(Gpr, Call("POST", f"{PREFIX}/gprs/{_segment(gpr_id)}/release", same_twice=True))

    def suspend(self, gpr_id: UUID | str) -> Gpr:
        """Take its GPUs back, and let it wait until it is resumed."""
        return self._read(Gpr, Call("POST", f"{PREFIX}/jobs/{_segment(gpr_id)}/suspend", same_twice=True))

    def resume(self, gpr_id: UUID | str) -> Gpr:
        """Let it wait for GPUs again, at its old place."""
        return self._read(Gpr, Call("POST", f"{PREFIX}/jobs/{_segment(gpr_id)}/resume", same_twice=True))

    def events(self, gpr_id: UUID | str) -> Iterator[Event]:
        """What was decided about it so far, oldest first."""
        return self._pages(Event, f"gprs/{_segment(gpr_id)}/events")

    def history(self) -> Iterator[Event]:
        """What was decided about anything, oldest first; administrators only."""
        return self._pages(Event, "events")

    def notices(self, gpr_id: UUID | str) -> list[Notice]:
        """What its people are told before it happens."""
        return self._items(Notice, f"gprs/{_segment(gpr_id)}/notices")

    # --- workspaces ---------------------------------------------------------------------------------------------------

    def create_workspace(self, wanted: NewWorkspace, *, idempotency_key: str = "") -> Workspace:
        """Make a tenant; it comes back `creating` and is `ready` when every cluster has it."""
        return self._create(Workspace, "workspaces", wanted.given(), idempotency_key)

    def workspace(self, name: str) -> Workspace:
        """One workspace by its name."""
        return self._get(Workspace, f"workspaces/{_segment(name)}")

    def workspaces(self) -> Iterator[Workspace]:
        """All that the caller may see, oldest first."""
        return self._pages(Workspace, "workspaces")

    def delete_workspace(self, name: str) -> Workspace:
        """Begin to delete it with all that is in it; it is gone once it is no longer found."""
        return self._read(Workspace, Call("DELETE", f"{PREFIX}/workspaces/{_segment(name)}"))

    def kubeconfig(self, workspace: str, *, cluster: str = "", expires_in_seconds: int | None = None) -> Kubeconfig:
        """Access to the workspace's namespaces, for `kubectl` and its like; 600 to 3600 seconds long."""
        path = f"workspaces/{_segment(workspace)}/kubeconfig"
        return self._get(Kubeconfig, path, cluster=cluster, expires_in_seconds=expires_in_seconds)

    # --- hardware -----------------------------------------------------------------------------------------------------

    def nodes(self) -> list[Node]:
        """GPU nodes by cluster and name."""
        return self._items(Node, "nodes")

    def clusters(self) -> list[Cluster]:
        """Registered clusters by name."""
        return self._items(Cluster, "clusters")

    def pools(self) -> list[Pool]:
        """Pools, and the nodes that they set aside."""
        return self._items(Pool, "pools")

    def create_pool(self, wanted: NewPool) -> Pool:
        """Set nodes aside; administrators."""
        return self._read(Pool, Call("POST", f"{PREFIX}/pools", body=wanted.given()))

    def change_pool(self, name: str, change: PoolChange) -> Pool:
        """Change a pool's nodes, or what is said of it; administrators."""
        return self._read(Pool, Call("PATCH", f"{PREFIX}/pools/{_segment(name)}", body=change.given(), same_twice=True))

    def delete_pool(self, name: str) -> Pool:
        """Let its nodes serve those who name no pool; administrators."""
        return self._read(Pool, Call("DELETE", f"{PREFIX}/pools/{_segment(name)}"))

    def quotas(self) -> list[Quota]:
        """Quotas of namespaces, and what is in use of them."""
        return self._items(Quota, "quotas")

    def set_quota(self, namespace: str, quota: QuotaSetting) -> Quota:
        """Limit what may be in use at once of a namespace; administrators."""
        return self._read(Quota, Call("PUT", f"{PREFIX}/quotas/{_segment(namespace)}", body=quota.given()))

    def delete_quota(self, namespace: str) -> Quota:
        """Let a namespace's quota count no more; administrators."""
        return self._read(Quota, Call("DELETE", f"{PREFIX}/quotas/{_segment(namespace)}"))

    def prices(self) -> list[Price]:
        """What GPUs cost, and from when on."""
        return self._items(Price, "prices")

    def set_price(self, price: PriceSetting) -> Price:
        """Set what a GPU of a shape costs; administrators."""
        return self._read(Price, Call("PUT", f"{PREFIX}/prices", body=price.given()))

    # --- access -------------------------------------------------------------------------------------------------------

    def create_key(self, wanted: NewKey, *, idempotency_key: str = "") -> CreatedKey:
        """Make an API key; its text is in this answer and nowhere else."""
        return self._create(CreatedKey, "keys", wanted.given(), idempotency_key)

    def api_keys(self) -> list[Key]:
        """API keys that the caller may see, oldest first."""
        return self._items(Key, "keys")

    def revoke_key(self, key_id: UUID | str) -> Key:
        """Make a key worthless, now."""
        return self._read(Key, Call("DELETE", f"{PREFIX}/keys/{_segment(key_id)}"))

    def whoami(self) -> Caller:
        """Who the credential stands for."""
        return self._get(Caller, "whoami")

    def health(self) -> Health:
        """The server and its parts; needs no credential."""
        return self._read(Health, Call("GET", "/health"))

    # --- how ----------------------------------------------------------------------------------------------------------

    def _create(self, shape: type[Shape], path: str, body: dict[str, Any], idempotency_key: str) -> Shape:
        key = idempotency_key or str(uuid4())
        return self._read(shape, Call("POST", f"{PREFIX}/{path}", body=body, idempotency_key=key))

    def _get(self, shape: type[Shape], path: str, **query: object) -> Shape:
        return self._read(shape, Call("GET", f"{PREFIX}/{path}", query=query))

    def _items(self, shape: type[Shape], path: str) -> list[Shape]:
        return [self._parsed(shape, item) for item in self._get(_Page, path).items]

    def _pages(self, shape: type[Shape], path: str, **query: object) -> Iterator[Shape]:
        after: str | None = None
        while True:
            page = self._get(_Page, path, **query, limit=PAGE_SIZE, after=after)
            yield from (self._parsed(shape, item) for item in page.items)
            # a feed names where to go on even when nothing more is there: a short page is the last one
            if page.next is None or len(page.items) < PAGE_SIZE:
                return
            after = page.next

    def _read(self, shape: type[Shape], call: Call) -> Shape:
        answer = self._transport.send(call)
        try:
            return self._parsed(shape, answer.json())
        except ValueError as error:
            raise _strange(str(answer.url)) from error

    def _parsed(self, shape: type[Shape], body: object) -> Shape:
        try:
            return shape.model_validate(body)
        except ValidationError as error:
            raise _strange(shape.__name__) from error


class _Page(Answer):
    items: list[dict[str, Any]]
    next: str | None = None


def _segment(name: UUID | str) -> str:
    """A name as one segment of a path, whatever it holds; what would be another path is no name."""
    text = str(name)
    if text in {"", ".", ".."}:
        raise Invalid(f"{text!r} names nothing", code="invalid_request")
    return quote(text, safe="")


def _strange(what: str) -> ApiFailure:
    return ApiFailure(f"{what}: this is not what a Berth server answers", code=UNEXPECTED)

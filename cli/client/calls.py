"""The native API as Python: one method for each thing that can be asked. Synchronous, typed, safe to repeat.

    with BerthClient("http://127.0.0.1:8000", key) as berth:
        gpr = berth.submit(NewGpr(workspace="demo", name="train", duration="1h", shape="Tesla-T4"))

Every method may raise what `failures` lists. A create carries an Idempotency-Key of its own, so that a retry after
a broken connection makes nothing twice; give one to make that hold between two runs of your program too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from types import TracebackType
from typing import Self
from uuid import UUID

from cli.client.answers import (
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
    PoolWeight,
    Price,
    Quota,
    Workspace,
)
from cli.client.asking import PREFIX, Page, segment
from cli.client.foresight import ExtensionWish, Foreseen, Granted, Honesty, Opening, Plan, WhatIf, Why
from cli.client.hardware import CostReport, GpuHistory, GpuNow, IdleRule, IdleRuleSetting, QuarantineOrder
from cli.client.maintaining import Maintenance, NewMaintenance
from cli.client.requests import GprChange, NewGpr, NewKey, NewPool, NewWorkspace, PoolChange, PriceSetting, QuotaSetting
from cli.client.reserving import NewReservation, Reservation, Scheduling, SchedulingChange, Share, Weight
from cli.client.sharing import ShareCalls
from cli.client.transport import Call, Transport
from domain.costs import CostsBy
from domain.gpr import Phase


class BerthClient(ShareCalls):
    """One server, one credential."""

    def __init__(self, url: str, api_key: str = "", *, transport: Transport | None = None) -> None:
        super().__init__(transport or Transport(url, api_key))

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
        return self._get(Gpr, f"gprs/{segment(gpr_id)}")

    def gprs(self, *, workspace: str = "", phases: Collection[Phase] = ()) -> Iterator[Gpr]:
        """All that the caller may see, newest first; pages are fetched as they are needed."""
        return self._pages(Gpr, "gprs", workspace=workspace, phase=",".join(phases))

    def change_gpr(self, gpr_id: UUID | str, change: GprChange) -> Gpr:
        """Another priority while it is queued, another name at any time."""
        return self._read(Gpr, Call("PATCH", f"{PREFIX}/gprs/{segment(gpr_id)}", body=change.given()))

    def release(self, gpr_id: UUID | str) -> Gpr:
        """End it now, or take it out of the queue; one that has ended stays as it is."""
        return self._read(Gpr, Call("POST", f"{PREFIX}/gprs/{segment(gpr_id)}/release", same_twice=True))

    def suspend(self, gpr_id: UUID | str) -> Gpr:
        """Take its GPUs back, and let it wait until it is resumed."""
        return self._read(Gpr, Call("POST", f"{PREFIX}/jobs/{segment(gpr_id)}/suspend", same_twice=True))

    def resume(self, gpr_id: UUID | str) -> Gpr:
        """Let it wait for GPUs again, at its old place."""
        return self._read(Gpr, Call("POST", f"{PREFIX}/jobs/{segment(gpr_id)}/resume", same_twice=True))

    def events(self, gpr_id: UUID | str) -> Iterator[Event]:
        """What was decided about it so far, oldest first."""
        return self._pages(Event, f"gprs/{segment(gpr_id)}/events")

    def history(self) -> Iterator[Event]:
        """What was decided about anything, oldest first; administrators only."""
        return self._pages(Event, "events")

    def notices(self, gpr_id: UUID | str) -> list[Notice]:
        """What its people are told before it happens."""
        return self._items(Notice, f"gprs/{segment(gpr_id)}/notices")

    # --- time ---------------------------------------------------------------------------------------------------------

    def promise(self, gpr_id: UUID | str) -> Gpr:
        """Have the start that is planned for a queued Gpr promised."""
        return self._read(Gpr, Call("POST", f"{PREFIX}/gprs/{segment(gpr_id)}/promise", same_twice=True))

    def withdraw_promise(self, gpr_id: UUID | str) -> Gpr:
        """Give a promise up."""
        return self._read(Gpr, Call("DELETE", f"{PREFIX}/gprs/{segment(gpr_id)}/promise"))

    def extend(self, gpr_id: UUID | str, wish: ExtensionWish, *, idempotency_key: str = "") -> Granted:
        """Let a lease last longer; Refused, in a sentence that says how long it could, where that is too long."""
        return self._create(Granted, f"gprs/{segment(gpr_id)}/extend", wish.given(), idempotency_key)

    def why(self, gpr_id: UUID | str) -> Why:
        """Why it does not start yet, and what would start sooner."""
        return self._get(Why, f"gprs/{segment(gpr_id)}/why")

    def what_if(self, wishes: Sequence[WhatIf]) -> list[Foreseen]:
        """When requests would start if they were submitted now, each after the former."""
        body = {"requests": [wish.given() for wish in wishes]}
        found = self._read(Page, Call("POST", f"{PREFIX}/what-if", body=body, same_twice=True))
        return [self._parsed(Foreseen, item) for item in found.items]

    def openings(
        self, *, shape: str = "", gpus: int | None = None, duration: str = "", pool: str = ""
    ) -> list[Opening]:
        """When so many GPUs are free, for every number of each kind."""
        query = {"shape": shape, "gpus": gpus, "duration": duration, "pool": pool}
        page = self._read(Page, Call("GET", f"{PREFIX}/openings", query=query))
        return [self._parsed(Opening, item) for item in page.items]

    def plan(self, *, hours: int | None = None, cluster: str = "") -> Plan:
        """Who has which GPUs when."""
        return self._get(Plan, "plan", hours=hours, cluster=cluster)

    def honesty(self, *, days: int | None = None) -> Honesty:
        """How far off the starts were that people were shown."""
        return self._get(Honesty, "honesty", days=days)

    # --- workspaces ---------------------------------------------------------------------------------------------------

    def create_workspace(self, wanted: NewWorkspace, *, idempotency_key: str = "") -> Workspace:
        """Make a tenant; it comes back `creating` and is `ready` when every cluster has it."""
        return self._create(Workspace, "workspaces", wanted.given(), idempotency_key)

    def workspace(self, name: str) -> Workspace:
        """One workspace by its name."""
        return self._get(Workspace, f"workspaces/{segment(name)}")

    def workspaces(self) -> Iterator[Workspace]:
        """All that the caller may see, oldest first."""
        return self._pages(Workspace, "workspaces")

    def delete_workspace(self, name: str) -> Workspace:
        """Begin to delete it with all that is in it; it is gone once it is no longer found."""
        return self._read(Workspace, Call("DELETE", f"{PREFIX}/workspaces/{segment(name)}"))

    def kubeconfig(self, workspace: str, *, cluster: str = "", expires_in_seconds: int | None = None) -> Kubeconfig:
        """Access to the workspace's namespaces, for `kubectl` and its like; 600 to 3600 seconds long."""
        path = f"workspaces/{segment(workspace)}/kubeconfig"
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
        return self._read(Pool, Call("PATCH", f"{PREFIX}/pools/{segment(name)}", body=change.given(), same_twice=True))

    def delete_pool(self, name: str) -> Pool:
        """Let its nodes serve those who name no pool; administrators."""
        return self._read(Pool, Call("DELETE", f"{PREFIX}/pools/{segment(name)}"))

    def pool_weights(self, pool: str) -> list[PoolWeight]:
        """What workspaces weigh in a pool: those that the caller may see."""
        return self._items(PoolWeight, f"pools/{segment(pool)}/weights")

    def set_pool_weight(self, pool: str, workspace: str, weight: Weight) -> PoolWeight:
        """Say what a workspace weighs in a pool; administrators."""
        path = f"{PREFIX}/pools/{segment(pool)}/weights/{segment(workspace)}"
        return self._read(PoolWeight, Call("PUT", path, body=weight.given()))

    def remove_pool_weight(self, pool: str, workspace: str) -> PoolWeight:
        """Let what it weighs in general count there too; administrators."""
        path = f"{PREFIX}/pools/{segment(pool)}/weights/{segment(workspace)}"
        return self._read(PoolWeight, Call("DELETE", path))

    def quotas(self) -> list[Quota]:
        """Quotas of namespaces, and what is in use of them."""
        return self._items(Quota, "quotas")

    def set_quota(self, namespace: str, quota: QuotaSetting) -> Quota:
        """Limit what may be in use at once of a namespace; administrators."""
        return self._read(Quota, Call("PUT", f"{PREFIX}/quotas/{segment(namespace)}", body=quota.given()))

    def delete_quota(self, namespace: str) -> Quota:
        """Let a namespace's quota count no more; administrators."""
        return self._read(Quota, Call("DELETE", f"{PREFIX}/quotas/{segment(namespace)}"))

    def prices(self) -> list[Price]:
        """What GPUs cost, and from when on."""
        return self._items(Price, "prices")

    def set_price(self, price: PriceSetting) -> Price:
        """Set what a GPU of a shape costs; administrators."""
        return self._read(Price, Call("PUT", f"{PREFIX}/prices", body=price.given()))

    # --- reservations -------------------------------------------------------------------------------------------------

    def reserve(self, wanted: NewReservation, *, idempotency_key: str = "") -> Reservation:
        """Keep room for a fixed time; Refused with the nearest windows when there is none."""
        return self._create(Reservation, "reservations", wanted.given(), idempotency_key)

    def reservations(self, *, workspace: str = "") -> Iterator[Reservation]:
        """All that the caller may see, newest first."""
        return self._pages(Reservation, "reservations", workspace=workspace)

    def reservation(self, reservation_id: UUID | str) -> Reservation:
        """One of them."""
        return self._get(Reservation, f"reservations/{segment(reservation_id)}")

    def cancel_reservation(self, reservation_id: UUID | str, *, start: datetime | None = None) -> Reservation:
        """Cancel one of its times, or all that are to come and the one that runs."""
        query = {"start": start.isoformat()} if start else {}
        return self._read(Reservation, Call("DELETE", f"{PREFIX}/reservations/{segment(reservation_id)}", query=query))

    def scheduling(self) -> Scheduling:
        """What is decided about the order of the queue and about reservations."""
        return self._get(Scheduling, "scheduling")

    def change_scheduling(self, change: SchedulingChange) -> Scheduling:
        """Decide otherwise; administrators."""
        return self._read(Scheduling, Call("PATCH", f"{PREFIX}/scheduling", body=change.given(), same_twice=True))

    def weight(self, workspace: str) -> Share:
        """What is due to a workspace beside others."""
        return self._get(Share, f"workspaces/{segment(workspace)}/weight")

    def set_weight(self, workspace: str, weight: Weight) -> Share:
        """Say what a workspace weighs; administrators."""
        return self._read(Share, Call("PUT", f"{PREFIX}/workspaces/{segment(workspace)}/weight", body=weight.given()))

    # --- maintenance --------------------------------------------------------------------------------------------------

    def announce_maintenance(self, wanted: NewMaintenance, *, idempotency_key: str = "") -> Maintenance:
        """Nodes are away from an instant until another; administrators. Refused names whose room it would take."""
        return self._create(Maintenance, "maintenance", wanted.given(), idempotency_key)

    def maintenance(self, *, past: bool = False) -> list[Maintenance]:
        """What is announced and not over; with the past, all."""
        page = self._get(Page, "maintenance", **({"past": "true"} if past else {}))
        return [self._parsed(Maintenance, item) for item in page.items]

    def end_maintenance(self, name: str) -> Maintenance:
        """End it now, or call it off; administrators."""
        return self._read(Maintenance, Call("DELETE", f"{PREFIX}/maintenance/{segment(name)}"))

    def gpus(self, *, cluster: str = "", node: str = "") -> list[GpuNow]:
        """GPUs that node agents know, by cluster, node and place."""
        page = self._get(Page, "gpus", cluster=cluster, node=node)
        return [self._parsed(GpuNow, item) for item in page.items]

    def gpu_faults(self, gpu_id: int) -> GpuHistory:
        """What a GPU reported last, and when it was set aside."""
        return self._get(GpuHistory, f"gpus/{gpu_id}/faults")

    def quarantine_gpu(self, gpu_id: int, order: QuarantineOrder) -> GpuNow:
        """Place nothing more on a GPU, or its node; administrators."""
        return self._read(GpuNow, Call("POST", f"{PREFIX}/gpus/{gpu_id}/quarantine", body=order.given()))

    def release_gpu(self, gpu_id: int) -> GpuNow:
        """Let a GPU be used again; administrators."""
        return self._read(GpuNow, Call("POST", f"{PREFIX}/gpus/{gpu_id}/release", same_twice=True))

    def idle_rules(self) -> list[IdleRule]:
        """When idle GPUs are told of, and taken back."""
        return self._items(IdleRule, "idle-rules")

    def set_idle_rule(self, rule: IdleRuleSetting) -> IdleRule:
        """Set the rule of all workspaces, or of one; administrators."""
        return self._read(IdleRule, Call("PUT", f"{PREFIX}/idle-rules", body=rule.given()))

    def delete_idle_rule(self, workspace: str = "") -> IdleRule:
        """Let the rule of all workspaces, or of one, count no more; administrators."""
        query = {"workspace": workspace} if workspace else {}
        return self._read(IdleRule, Call("DELETE", f"{PREFIX}/idle-rules", query=query))

    def costs(
        self,
        *,
        by: CostsBy = CostsBy.WORKSPACE,
        begin: datetime | None = None,
        end: datetime | None = None,
        workspace: str = "",
        limit: int | None = None,
    ) -> CostReport:
        """What GPUs cost from `begin` until before `end`; of the last 30 days by default."""
        span = {"from": begin and begin.isoformat(), "to": end and end.isoformat()}
        return self._get(CostReport, "costs", **span, by=by, workspace=workspace, limit=limit)

    # --- access -------------------------------------------------------------------------------------------------------

    def create_key(self, wanted: NewKey, *, idempotency_key: str = "") -> CreatedKey:
        """Make an API key; its text is in this answer and nowhere else."""
        return self._create(CreatedKey, "keys", wanted.given(), idempotency_key)

    def api_keys(self) -> list[Key]:
        """API keys that the caller may see, oldest first."""
        return self._items(Key, "keys")

    def revoke_key(self, key_id: UUID | str) -> Key:
        """Make a key worthless, now."""
        return self._read(Key, Call("DELETE", f"{PREFIX}/keys/{segment(key_id)}"))

    def whoami(self) -> Caller:
        """Who the credential stands for."""
        return self._get(Caller, "whoami")

    def health(self) -> Health:
        """The server and its parts; needs no credential."""
        return self._read(Health, Call("GET", "/health"))

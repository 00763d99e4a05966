"""Jobs on the test cluster: granted GPUs, made, and seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from clusters.capacity import write_tokens
from clusters.connection import ClusterConnection
from clusters.job_manifests import manifests
from clusters.job_pods import JobPlace
from clusters.job_views import observe_job
from clusters.jobs import create_job_objects
from domain.identifiers import lease_token_key
from domain.job import JobSpec, JobState, ObservedJob
from domain.workspace import Tenancy
from tests.builders_clusters import Json, eventually
from tests.builders_jobs import a_place

NewJob = Callable[..., "MadeJob"]


@dataclass(frozen=True, slots=True)
class MadeJob:
    """A job whose objects are there."""

    connection: ClusterConnection
    spec: JobSpec
    place: JobPlace

    @property
    def id(self) -> str:
        return self.place.job_id

    @property
    def namespace(self) -> str:
        return self.place.namespace

    @property
    def key(self) -> str:
        assert self.place.fence is not None
        return lease_token_key(self.place.fence, self.place.resource)

    @property
    def seen(self) -> ObservedJob:
        found = observe_job(self.connection, self.namespace, self.id)
        assert found is not None
        return found

    def comes_to(self, state: JobState, reason: str = "", *, ready: int | None = None, seconds: float = 20) -> bool:
        """Whether it comes to this state, for this reason, with so many ready."""
        wanted = (state, reason)
        return eventually(
            lambda: (self.seen.state, self.seen.reason) == wanted and ready in {None, self.seen.ready}, seconds
        )

    def pods(self) -> list[Json]:
        return self.connection.items(
            f"/api/v1/namespaces/{self.namespace}/pods", labelSelector=f"berth.io/job={self.id}"
        )


def make_job(
    connection: ClusterConnection,
    tenancy: Tenancy,
    spec: JobSpec,
    node: str = "",
    annotations: Json | None = None,
    **place: Any,
) -> MadeJob:
    """Grant it all that it asks for on this node, if any, and make it. Annotations tell kwok how its pods fare."""
    where = a_place(tenancy.namespaces[0], nodes=(node,) if node else (), **place)
    job = MadeJob(connection, replace(spec, namespace=where.namespace), where)
    if node and spec.gpus_per_replica:
        write_tokens(connection, job.key, {node: spec.replicas * spec.gpus_per_replica})
    made = manifests(spec, where)
    for template in [one if one["kind"] == "Pod" else one["spec"]["template"] for one in made if _makes_pods(one)]:
        template["metadata"]["annotations"] = {**template["metadata"].get("annotations", {}), **(annotations or {})}
    create_job_objects(connection, made)
    return job


def _makes_pods(manifest: Json) -> bool:
    return manifest["kind"] == "Pod" or "template" in manifest.get("spec", {})

"""ResourceQuotas behind Berth's own quotas: a ceiling against accidents, never the proof of anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from clusters.connection import ClusterConnection
from clusters.failures import ObjectMissing
from clusters.manifests import CEILING, ceiling_spec

Json = dict[str, Any]

_QUOTAS: Final = "/api/v1/resourcequotas"


def set_ceilings(connection: ClusterConnection, gpus: Mapping[str, int | None]) -> list[str]:
    """Let each namespace's ceiling be so many GPUs (None: as in a namespace without a quota); those that were changed."""
    seen = {
        one["metadata"]["namespace"]: one for one in connection.items(_QUOTAS, fieldSelector=f"metadata.name={CEILING}")
    }
    wrong = [name for name in gpus if name in seen and seen[name]["spec"]["hard"] != ceiling_spec(gpus[name])["hard"]]
    return [name for name in wrong if _set(connection, name, ceiling_spec(gpus[name]))]


def _set(connection: ClusterConnection, namespace: str, spec: Json) -> bool:
    try:
        connection.merge(f"/api/v1/namespaces/{namespace}/resourcequotas/{CEILING}", {"spec": spec})
    except ObjectMissing:
        return False  # the namespace goes at this moment
    return True

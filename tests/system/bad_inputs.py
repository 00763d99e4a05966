"""What EGS must refuse whoever asks, and with which status."""

from __future__ import annotations

from typing import Any, Final

Json = dict[str, Any]

NO_KEY: Final = f"berth_{'0' * 64}"
BAD: Final[tuple[tuple[int, str, str, Json | None], ...]] = (
    (400, "POST", "/auth", {"apiKey": "no key at all"}),
    (401, "POST", "/auth", {"apiKey": NO_KEY}),
    (404, "GET", "/nothing-here", None),
    (404, "GET", "/gpr?gprId=gpr-00000000-0000", None),
    (404, "GET", "/gpr/list?sliceName=nobodys", None),
    (404, "GET", "/inventory?sliceName=nobodys", None),
    (404, "PUT", "/gpr", {"gprId": "gpr-00000000-0000", "earlyRelease": True}),
    (404, "DELETE", "/gpr", {"gprId": "gpr-00000000-0000"}),
    (404, "DELETE", "/slice-workspace", {"workspaceName": "nobodys"}),
    (404, "POST", "/slice-workspace/kube-config", {"workspaceName": "nobodys"}),
    (404, "POST", "/gpr", {"sliceName": "nobodys", "gprName": "g", "numberOfGPUs": 1, "exitDuration": "1h"}),
    (404, "DELETE", "/api-key", {"apiKey": NO_KEY}),
    (405, "PATCH", "/gpr", {}),
    (422, "POST", "/gpr", {}),
    (422, "POST", "/gpr", {"sliceName": "s", "gprName": "g", "numberOfGPUs": 0, "exitDuration": "1h"}),
    (422, "POST", "/gpr", {"sliceName": "s", "gprName": "g", "numberOfGPUs": 1, "exitDuration": "1h", "priority": 301}),
    (422, "PUT", "/gpr", {"gprId": "gpr-00000000-0000", "priority": "high"}),
    (422, "GET", "/gpr", None),
    (422, "POST", "/slice-workspace", {"workspaceName": "w", "clusters": [], "namespaces": ["w"]}),
    (422, "POST", "/slice-workspace", {"workspaceName": "w", "clusters": ["nowhere"], "namespaces": ["w"]}),
    (422, "POST", "/slice-workspace", {"workspaceName": "w", "clusters": ["worker-1"], "namespaces": ["kube-system"]}),
    (422, "POST", "/api-key", {"name": "k", "role": "King"}),
)
"""Status, method, path and body."""

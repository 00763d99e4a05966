"""Tenants who ask EGS for everything that it offers, in a random mix, and now and then for what it must refuse.

Each is one thread with a key and workspaces of its own. What they were told about Gprs is kept as claims; every other answer
must be one that the question may get.
"""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from clusters.connection import ClusterConnection
from domain.failures import BerthFailure
from tests.system.bad_inputs import BAD
from tests.system.egs import Egs
from tests.system.kubectl import a_gpu_pod
from tests.system.town import LIVE_MAX, PAUSE_SECONDS_RANGE
from tests.system.users import AWAY, LATER, LATER_SECONDS, User

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from pathlib import Path
    from random import Random

    from tests.system.town import Town
    from tests.system.users import Replies, Reply

    Act = Callable[[str, Path], None]

Json = dict[str, Any]

CLUSTERS: Final = ("worker-1", "worker-2")
SHAPES: Final = ("NVIDIA-H100-80GB-HBM3", "NVIDIA-A100-SXM4-40GB", "Tesla-T4", "")
WORKSPACES_MAX: Final = 3
KEYS_MAX: Final = 4
OVER: Final = frozenset({"Complete", "Error"})


class Tenant:
    """One of them. `folder`: for kubeconfigs."""

    def __init__(self, name: str, egs: Egs, replies: Replies, town: Town, random: Random) -> None:
        self.name = name
        self.user = User(egs, replies)
        self._town = town
        self._random = random
        self._keys: list[str] = []
        self._live: dict[str, set[str]] = {}
        """Ids that are not over, by workspace."""
        self._number = 0
        self._acts: list[Act] = self._weighted()

    def live(self, over: threading.Event, url: str, folder: Path) -> None:
        """Do this and that until it is over."""
        while not over.wait(self._random.uniform(*PAUSE_SECONDS_RANGE)):
            act = self._random.choice(self._acts)
            act(url, folder)
        self.user.egs.close()

    def _weighted(self) -> list[Act]:
        weights: dict[Act, int] = {
            self._create_gpr: 24,
            self._list_gprs: 16,
            self._release: 12,
            self._set_priority: 6,
            self._get_gpr: 6,
            self._delete_gpr: 4,
            self._rename_gpr: 2,
            self._create_workspace: 4,
            self._delete_workspace: 2,
            self._list_workspaces: 3,
            self._kubeconfig: 3,
            self._run_pod: 6,
            self._inventory: 4,
            self._log_in: 2,
            self._create_key: 2,
            self._delete_key: 1,
            self._list_keys: 1,
            self._look_as_viewer: 1,
            self._ask_badly: 6,
            self._pry: 4,
        }
        return [act for act, weight in weights.items() for _ in range(weight)]

    # --- Gprs ---------------------------------------------------------------------------------------------------------

    def _create_gpr(self, *_: object) -> None:
        workspace = self._workspace()
        if workspace is None or len(self._live[workspace]) >= LIVE_MAX:
            return
        name = self._fresh("g")
        gpr_id = self.user.submit(workspace, name, **self._wish())
        if gpr_id:
            self._town.ids[workspace].append(gpr_id)
            self._live[workspace].add(gpr_id)

    def _wish(self) -> Json:
        random = self._random
        shape = random.choice(SHAPES)
        wish: Json = {"gpuShape": shape, "exitDuration": f"{random.randint(1, 12)}s"}
        wish["numberOfGPUs"] = 1 if shape in {"Tesla-T4", ""} else random.randint(1, 4)
        if random.random() < 0.3:
            wish["exitDuration"] = "1h"
        if random.random() < 0.5:
            wish["priority"] = random.randint(0, 300)
        if random.random() < 0.1:
            wish["requeueOnFailure"] = False
        return wish

    def _list_gprs(self, *_: object) -> None:
        if workspace := self._workspace():
            items = self.user.look(workspace, self._town.ids[workspace])
            self._live[workspace] -= {item["gprId"] for item in items if item["status"]["provisioningStatus"] in OVER}

    def _get_gpr(self, *_: object) -> None:
        if gpr_id := self._gpr():
            self.user.get(gpr_id)

    def _release(self, *_: object) -> None:
        if gpr_id := self._gpr():
            self.user.release(gpr_id)

    def _delete_gpr(self, *_: object) -> None:
        if gpr_id := self._gpr():
            self.user.delete(gpr_id)

    def _set_priority(self, *_: object) -> None:
        if gpr_id := self._gpr():
            self.user.move(gpr_id, self._random.randint(0, 300))

    def _rename_gpr(self, *_: object) -> None:
        if gpr_id := self._gpr():
            change = {"gprId": gpr_id, "gprName": self._fresh("renamed")}
            self.user.ask("rename GPR", lambda: self.user.egs.ask("PUT", "/gpr", change))

    # --- workspaces ---------------------------------------------------------------------------------------------------

    def _create_workspace(self, *_: object) -> None:
        if len(self._live) >= WORKSPACES_MAX:
            return
        name = self._fresh("w")
        clusters = self._random.sample(CLUSTERS, self._random.randint(1, len(CLUSTERS)))
        make = lambda: self.user.egs.create_workspace(name, *clusters, key=name)  # noqa: E731
        if self._insist("create workspace", make, 200).is_fine:
            self._town.owners[name], self._live[name] = self.name, set()

    def _delete_workspace(self, *_: object) -> None:
        workspace = self._workspace()
        if workspace is None:
            return
        # its GPRs are cancelled by this; nobody may count on them from here on
        self._town.owners.pop(workspace)
        reply = self._insist("delete workspace", lambda: self.user.egs.delete_workspace(workspace), 200, 409)
        if reply.status == HTTPStatus.CONFLICT:
            self._town.owners[workspace] = self.name
        else:
            self._live.pop(workspace)

    def _insist(self, what: str, question: Callable[[], Any], *expected: int) -> Reply:
        """Ask until somebody answers; what was done by the first time may be gone by the second."""
        reply = self.user.ask(what, question, *expected)
        while reply.status in AWAY | {LATER}:
            time.sleep(LATER_SECONDS)
            reply = self.user.ask(what, question, *expected, 404)
        return reply

    def _list_workspaces(self, *_: object) -> None:
        reply = self.user.ask("list workspaces", self.user.egs.workspaces)
        if reply.is_fine and (missing := self._live.keys() - set(reply.data)):
            self.user.replies.strange.append(f"{self.name} does not see its workspaces {sorted(missing)}")

    def _kubeconfig(self, *_: object) -> None:
        """In both forms; a workspace that is still being made has none yet."""
        if workspace := self._workspace():
            asked = f"/slice-workspace/kube-config?workspaceName={workspace}"
            self.user.ask("kubeconfig by GET", lambda: self.user.egs.ask("GET", asked), 200, 409)
            self.user.ask("kubeconfig by POST", lambda: self.user.egs.kubeconfig(workspace), 200, 409)

    def _run_pod(self, _: str, folder: Path) -> None:
        """A pod that wants a GPU: it waits for a lease, or runs at once, and goes with the lease."""
        workspace = self._workspace()
        if workspace is None:
            return
        reply = self.user.ask("kubeconfig by POST", lambda: self.user.egs.kubeconfig(workspace), 200, 409)
        if reply.is_fine:
            file = folder / f"{workspace}.kubeconfig"
            file.write_text(reply.data)
            delay = {"delete": "1s"} if self._random.random() < 0.3 else {}
            self._create_pod(file, workspace, a_gpu_pod(self._fresh("pod"), **delay))

    def _create_pod(self, kubeconfig: Path, namespace: str, pod: Json) -> None:
        """What the cluster answers is not EGS's word, so it is not judged; the audit log will be."""
        connection = ClusterConnection.from_kubeconfig(namespace, kubeconfig)
        try:
            connection.create(f"/api/v1/namespaces/{namespace}/pods", pod)
        except BerthFailure:
            self.user.replies.counts["pod", 0] += 1
        else:
            self.user.replies.counts["pod", 201] += 1
        finally:
            connection.close()

    def _inventory(self, *_: object) -> None:
        """Both of them."""
        egs = self.user.egs
        self.user.ask("inventory", egs.inventory)
        if workspace := self._workspace():
            asked = f"/inventory?sliceName={workspace}"
            self.user.ask("inventory of a workspace", lambda: egs.ask("GET", asked))

    # --- access -------------------------------------------------------------------------------------------------------

    def _log_in(self, *_: object) -> None:
        self.user.ask("login", self.user.egs.login)

    def _create_key(self, *_: object) -> None:
        if len(self._keys) < KEYS_MAX:
            reply = self.user.ask("create key", lambda: self.user.egs.create_key(self._fresh("k")))
            if reply.is_fine:
                self._keys.append(reply.data)

    def _list_keys(self, *_: object) -> None:
        self.user.ask("list keys", lambda: self.user.egs.ask("GET", "/api-key/list"))

    def _delete_key(self, *_: object) -> None:
        """Afterwards nobody gets in with it."""
        if not self._keys:
            return
        key = self._keys.pop()
        revoked = self.user.ask("delete key", lambda: self.user.egs.ask("DELETE", "/api-key", {"apiKey": key}))
        if revoked.is_fine:
            body = {"apiKey": key}
            self.user.ask("login with a deleted key", lambda: self.user.egs.ask("POST", "/auth", body), 401)

    def _look_as_viewer(self, url: str, _: Path) -> None:
        """A viewer's key sees the workspace and may do nothing to it."""
        workspace = self._workspace()
        if workspace is None:
            return
        make = lambda: self.user.egs.create_key(self._fresh("v"), role="Viewer", sliceName=workspace)  # noqa: E731
        made = self.user.ask("create viewer's key", make)
        entered = self.user.ask("login as a viewer", lambda: Egs(url, made.data)) if made.is_fine else made
        if entered.is_fine and isinstance(entered.data, Egs):
            viewer = User(entered.data, self.user.replies)
            viewer.look(workspace, self._town.ids[workspace])
            viewer.submit(workspace, self._fresh("v"), 403, exitDuration="1h")
            viewer.egs.close()

    # --- what must be refused -----------------------------------------------------------------------------------------

    def _ask_badly(self, *_: object) -> None:
        status, method, path, body = self._random.choice(BAD)
        self.user.ask(f"bad {method} {path} {body or ''}", lambda: self.user.egs.ask(method, path, body), status)

    def _pry(self, *_: object) -> None:
        """What belongs to others does not exist."""
        others = self._town.foreign(self.name)
        if not others:
            return
        egs, workspace = self.user.egs, self._random.choice(others)
        self.user.ask("foreign list", lambda: egs.gprs(workspace), 404)
        self.user.ask("foreign kubeconfig", lambda: egs.kubeconfig(workspace), 404)
        self.user.ask("foreign workspace deleted", lambda: egs.delete_workspace(workspace), 404)
        if ids := self._town.ids[workspace]:
            gpr_id = self._random.choice(ids)
            self.user.ask("foreign GPR", lambda: egs.gpr(gpr_id), 404)
            self.user.ask("foreign GPR released", lambda: egs.release_early(gpr_id), 404)
            self.user.ask("foreign GPR deleted", lambda: egs.delete_gpr(gpr_id), 404)

    # --- which --------------------------------------------------------------------------------------------------------

    def _workspace(self) -> str | None:
        return self._random.choice(sorted(self._live)) if self._live else None

    def _gpr(self) -> str | None:
        """Mostly one that may still live."""
        workspace = self._workspace()
        if workspace is None:
            return None
        known = sorted(self._live[workspace]) if self._random.random() < 0.9 else self._town.ids[workspace]
        return self._random.choice(known) if known else None

    def _fresh(self, kind: str) -> str:
        self._number += 1
        return f"{self.name}-{kind}{self._number}"

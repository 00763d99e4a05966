"""May this caller do that? Asked by every operation, before it does anything else.

What a caller may not see does not exist: NotFound, also for a workspace of somebody else. What it may see but not do is
Forbidden.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from uuid import UUID

from domain.failures import Forbidden, NotFound
from domain.identity import Role
from domain.permissions import Action, allows, weaker
from ledger import gprs, reading, reservations, workspaces

if TYPE_CHECKING:
    from api.operations.call import Call
    from domain.gpr import Gpr
    from domain.identity import Caller
    from domain.reservation import Reservation
    from domain.workspace import Workspace
    from ledger.connection import Connection

_EXTERNAL_ID: Final = re.compile(r"gpr-[0-9a-f]{8}-[0-9a-f]{4}", re.ASCII)


def role_in(caller: Caller, workspace_id: UUID, membership: Role | None) -> Role | None:
    """What the caller is to a workspace: the membership, cut down to what the credential leaves of it."""
    if caller.administrator:
        return Role.OWNER
    if membership is None or caller.workspace_id not in {None, workspace_id}:
        return None
    return weaker(membership, caller.role_limit)


def require_administrator(call: Call) -> None:
    """Only an administrator of the installation."""
    if not call.caller.administrator:
        raise Forbidden("this needs an administrator")


def require_unconfined_owner(call: Call, what: str) -> None:
    """Only an owner key that is not confined to a workspace."""
    if call.caller.workspace_id is not None or not allows(call.caller.role_limit, Action.CREATE_WORKSPACE):
        raise Forbidden(f"{what} needs an owner key that is not confined to a workspace")


async def visible_workspace_ids(connection: Connection, call: Call) -> list[UUID] | None:
    """Workspaces whose contents the caller may see, those that are gone included; None: all of them."""
    if call.caller.administrator:
        return None
    ids = await reading.workspace_ids_of(connection, call.principal_id)
    return [one for one in ids if call.caller.workspace_id in {None, one}]


async def workspace_for(connection: Connection, call: Call, name: str, action: Action) -> Workspace:
    """The workspace in use under this name, if the caller may do this to it."""
    missing = NotFound(f"workspace {name!r} not found", workspace=name)
    if "\0" in name:
        raise missing
    workspace = await workspaces.find_by_name(connection, name, call.principal_id)
    if workspace is None or not _may(call, workspace, action):
        raise missing
    return workspace


async def workspace_of_namespace(connection: Connection, call: Call, namespace: str, action: Action) -> Workspace:
    """The workspace that has a namespace of this name now, if the caller may do this to it."""
    missing = NotFound(f"namespace {namespace!r} not found", namespace=namespace)
    if "\0" in namespace:
        raise missing
    owner = await workspaces.of_namespace(connection, namespace)
    if owner is None:
        raise missing
    try:
        return await workspace_for(connection, call, owner.request.name, action)
    except NotFound as failure:
        raise missing from failure


async def gpr_for(connection: Connection, call: Call, reference: str, action: Action, *, hold: bool = False) -> Gpr:
    """The Gpr with this id, Berth's or EGS's, if the caller may do this to it. Held: its phase stays what it is."""
    missing = NotFound(f"GPR {reference!r} not found", gpr=reference)
    gpr_id = await _gpr_id(connection, reference)
    if gpr_id is None:
        raise missing
    try:
        if hold:
            await reading.held_phase(connection, gpr_id)
        gpr = await gprs.find(connection, gpr_id)
        workspace = await workspaces.find(connection, gpr.workspace_id, call.principal_id)
    except NotFound as failure:
        raise missing from failure
    if not _may(call, workspace, action):
        raise missing
    return gpr


async def reservation_for(connection: Connection, call: Call, reference: str, action: Action) -> Reservation:
    """The reservation with this id, if the caller may do this to it."""
    missing = NotFound(f"reservation {reference!r} not found", reservation=reference)
    try:
        reservation = await reservations.find(connection, UUID(reference))
        workspace = await workspaces.find(connection, reservation.workspace_id, call.principal_id)
    except (ValueError, NotFound) as failure:
        raise missing from failure
    if not _may(call, workspace, action):
        raise missing
    return reservation


def _may(call: Call, workspace: Workspace, action: Action) -> bool:
    """False where the workspace must not be known; Forbidden where it may, but the role is too weak."""
    role = role_in(call.caller, workspace.id, workspace.role)
    if role is None:
        return False
    if not allows(role, action):
        name = workspace.request.name
        raise Forbidden(f"the role {role} in workspace {name!r} does not allow to {action.replace('_', ' ')}")
    return True


async def _gpr_id(connection: Connection, reference: str) -> UUID | None:
    if _EXTERNAL_ID.fullmatch(reference):
        return await gprs.id_of_external(connection, reference)
    try:
        return UUID(reference)
    except ValueError:
        return None

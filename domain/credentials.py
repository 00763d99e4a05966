"""API keys as people manage them, and the keys that sign tokens.

An API key's secret is in nobody's hands but the holder's: the ledger keeps a hash.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.identity import Principal, Role


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret. `workspace` is the name behind `workspace_id`."""

    id: UUID
    principal: Principal
    name: str
    prefix: str
    role: Role
    workspace_id: UUID | None
    workspace: str | None
    valid_until: datetime | None
    revoked_at: datetime | None
    created_at: datetime
    login_at: datetime | None = None
    """When its holder last proved who they are; None: it is no login's key, but was given."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key that signs bearer tokens. A retired one only verifies what it signed before."""

    kid: str
    private_pem: str
    created_at: datetime
    retired_at: datetime | None

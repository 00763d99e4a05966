"""Logging in without an API key of Berth: somebody else vouches for a person, who is then a principal with a key."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import structlog
from structlog.contextvars import bind_contextvars

from api.operations.call import Call
from api.operations.personal import NoClusterYet, personal_workspace
from domain.failures import Unauthenticated
from domain.identity import Caller
from domain.login import user_name_of
from ledger import access

if TYPE_CHECKING:
    from api.auth.aws import AwsCredentials
    from api.auth.aws_identity import AwsIdentity
    from api.auth.aws_signed import SignedRequest
    from api.backends import Backends
    from domain.credentials import ApiKey
    from domain.login import Subject
    from ledger.connection import Connection

log = structlog.get_logger("api")

KEY_NAME: Final = "login"
PREFIX_LENGTH: Final = 8
"""Of a key, as people are shown it here."""
ROTATED_FOR: Final = timedelta(days=30)
"""A login's keys can be rotated for so long; then its holder proves again who they are."""
FORGOTTEN_AFTER: Final = timedelta(days=7)
"""Expired keys of logins are listed for so long."""


@dataclass(frozen=True, slots=True)
class MadeLogin:
    """A key, the only copy of its text, and whose it is. `arn` is what AWS calls them, where AWS vouches."""

    key: ApiKey
    text: str
    number: int
    hours: int
    arn: str = ""

    @property
    def prefix(self) -> str:
        """What of the key may be shown."""
        return self.text[:PREFIX_LENGTH]

    @property
    def user_name(self) -> str:
        """What its holder is called."""
        return user_name_of(self.key.principal.name)


async def with_aws_credentials(backends: Backends, credentials: AwsCredentials) -> MadeLogin:
    """For the holder of AWS credentials, which are used once and not kept."""
    return await _for_aws(backends, await backends.logins.with_aws_credentials(credentials))


async def with_signed_aws_request(backends: Backends, signed: SignedRequest) -> MadeLogin:
    """For whoever signed a request to AWS."""
    return await _for_aws(backends, await backends.logins.aws.with_signed_request(signed))


async def with_id_token(backends: Backends, token: str) -> MadeLogin:
    """For the subject of an OIDC issuer's ID token."""
    return await _made(backends, await backends.logins.oidc.subject_of(token))


async def rotate(call: Call) -> MadeLogin:
    """Another key of the caller's, which may as much as the one it asks with; that one lives on until its own end.

    Only the keys of logins get more time by it: one that was given with an end ends with it.
    """
    async with call.backends.ledger.transaction() as connection:
        old = await access.key_by_id(connection, call.caller.key_id)
        if old is None or old.revoked_at is not None:
            raise Unauthenticated
        if old.login_at is not None and call.now >= old.login_at + ROTATED_FOR:
            raise Unauthenticated("the login is too long ago to go on from it; log in again")
        made = _rotated(old, _end(call.backends, call.now))
        return await _written(connection, made, call.now, call.backends.logins.key_hours)


async def _for_aws(backends: Backends, identity: AwsIdentity) -> MadeLogin:
    return await _made(backends, identity.subject, identity.arn)


async def _made(backends: Backends, subject: Subject, arn: str = "") -> MadeLogin:
    now = backends.clock()
    async with backends.ledger.transaction() as connection:
        principal = await access.principal_of(connection, subject, now)
        await access.forget_login_keys(connection, principal.id, now - FORGOTTEN_AFTER)
        end = _end(backends, now)
        key = access.NewKey(uuid4(), access.new_key_text(), principal, KEY_NAME, valid_until=end, login_at=now)
        made = await _written(connection, key, now, backends.logins.key_hours, arn)
    bind_contextvars(principal=principal.name)
    log.info("login", issuer=subject.issuer, subject=subject.subject)
    with suppress(NoClusterYet):  # then it is made when it is first needed
        await personal_workspace(Call(backends, Caller(principal, key.id), now))
    return made


async def _written(connection: Connection, key: access.NewKey, now: datetime, hours: int, arn: str = "") -> MadeLogin:
    written = await access.add_key(connection, key, now)
    number = await access.number_of(connection, key.principal.id)
    return MadeLogin(written, key.text, number, hours, arn)


def _rotated(old: ApiKey, end: datetime) -> access.NewKey:
    if old.login_at is None and old.valid_until is not None:
        end = min(end, old.valid_until)
    return access.NewKey(
        id=uuid4(),
        text=access.new_key_text(),
        principal=old.principal,
        name=old.name,
        role=old.role,
        workspace_id=old.workspace_id,
        valid_until=end,
        login_at=old.login_at,
    )


def _end(backends: Backends, now: datetime) -> datetime:
    return now.replace(microsecond=0) + timedelta(hours=backends.logins.key_hours)

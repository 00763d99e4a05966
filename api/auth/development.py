"""Logging in without AWS, while developing: off unless it is asked for, and loud when it is on.

It knows one pair of credentials, the one that AWS prints in its documentation, and everybody who sends it is one person.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

import structlog

from api.auth.aws_identity import AwsIdentity

if TYPE_CHECKING:
    from api.auth.aws import AwsCredentials

log = structlog.get_logger("api")

ACCESS_KEY_ID: Final = "AKIAIOSFODNN7EXAMPLE"
SECRET_ACCESS_KEY: Final = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"  # noqa: S105 - printed in AWS's documentation
_ARN: Final = "arn:aws:sts::123456789012:assumed-role/Development/developer"
DEVELOPER: Final = AwsIdentity(_ARN, "development", "123456789012", "Development", "Development/developer")
WARNING: Final = "DEVELOPMENT LOGIN IS ON: anybody who reaches this API may log in with AWS's example key"


def warn() -> None:
    """Say it, at the start and at every login."""
    log.warning(WARNING, setting="BERTH_GPUDEV_DEVELOPMENT_LOGIN")


def is_example(credentials: AwsCredentials) -> bool:
    """Whether this is the pair from the documentation."""
    return credentials.access_key_id == ACCESS_KEY_ID and secrets.compare_digest(
        credentials.secret_access_key.encode(), SECRET_ACCESS_KEY.encode()
    )

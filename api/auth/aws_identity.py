"""What STS says about a caller, read strictly, and whether such a one may log in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final
from xml.etree import ElementTree as ET

from api.auth.outside import Heard, IssuerUnavailable, nonsense
from domain.failures import Forbidden, Unauthenticated
from domain.login import Subject

STS: Final = "AWS STS"
ANSWER_BYTES_MAX: Final = 64 * 1024
_OK: Final = 200
_REFUSALS: Final = frozenset({400, 401, 403})
_EXPIRED: Final = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
_NOT_ACCEPTED: Final = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "AuthFailure",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_NAMESPACE: Final = "{https://sts.amazonaws.com/doc/2011-06-15/}"
_ARN: Final = re.compile(
    r"arn:(?P<partition>aws[a-z-]{0,20}):(?:sts|iam)::(?P<account>[0-9]{12}):"
    r"(?P<kind>assumed-role|federated-user|user)/(?P<path>[\w+=,.@/-]{1,600})",
    re.ASCII,
)
_SSO_ROLE: Final = re.compile(r"AWSReservedSSO_(?P<set>.+)_[0-9a-f]{16}", re.ASCII)


@dataclass(frozen=True, slots=True)
class AwsIdentity:
    """Somebody in AWS. `role` is empty for those who have none: users, and those federated by one."""

    arn: str
    partition: str
    account: str
    role: str
    path: str

    @property
    def user_name(self) -> str:
        """The name of the session or of the user."""
        return self.path.rpartition("/")[2]

    @property
    def subject(self) -> Subject:
        """Whom they are here. The role belongs to it: with some roles, whoever takes them on names the session."""
        lasting = _SSO_ROLE.fullmatch(self.role)  # such a role gets a new ending whenever AWS makes it anew
        role = f"AWSReservedSSO_{lasting['set']}" if lasting else self.role
        subject = f"role/{role}/{self.user_name}" if role else self.arn.partition(f"{self.account}:")[2]
        return Subject(f"{self.partition}:{self.account}", subject, self.user_name, self.partition.partition("-")[0])


@dataclass(frozen=True, slots=True)
class AwsRules:
    """Who may log in: these accounts' roles, by name or by ARN, each with `*` for anything. Without either, nobody."""

    accounts: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()

    def require_any(self) -> None:
        """Forbidden where nobody may."""
        if not self.accounts or not self.roles:
            raise Forbidden("logging in with AWS is not set up here")

    def require_allowed(self, who: AwsIdentity) -> None:
        """Forbidden for anybody else."""
        if who.account not in self.accounts or not any(_matches(who, pattern) for pattern in self.roles):
            raise Forbidden(f"{who.arn} may not log in here; ask which AWS role may")


def identity_of(heard: Heard) -> AwsIdentity:
    """Whom STS names. Raises Unauthenticated, Forbidden; IssuerUnavailable for what is no answer of STS."""
    if heard.status != _OK:
        raise _refusal(heard)
    root = _parsed(heard.body)
    if root.tag != f"{_NAMESPACE}GetCallerIdentityResponse":
        raise nonsense(STS)
    arn, account = (
        root.findtext(f"{_NAMESPACE}GetCallerIdentityResult/{_NAMESPACE}{name}", "") for name in ("Arn", "Account")
    )
    found = _ARN.fullmatch(arn)
    if arn == f"arn:aws:iam::{account}:root":
        raise Forbidden("the root user of an AWS account may not log in")
    if found is None or found["account"] != account:
        raise nonsense(STS)
    role = found["path"].rpartition("/")[0] if found["kind"] == "assumed-role" else ""
    return AwsIdentity(arn, found["partition"], account, role, found["path"])


def _matches(who: AwsIdentity, pattern: str) -> bool:
    if not pattern.startswith("arn:"):
        return bool(who.role) and fnmatchcase(who.role, pattern)
    role_arn = f"arn:{who.partition}:iam::{who.account}:role/{who.role}"
    return fnmatchcase(who.arn, pattern) or (bool(who.role) and fnmatchcase(role_arn, pattern))


def _refusal(heard: Heard) -> Exception:
    code = _error_code(heard) if heard.status in _REFUSALS else ""
    if code in _EXPIRED:
        return Unauthenticated("the AWS credentials have expired; log in to AWS again")
    if code in _NOT_ACCEPTED:
        return Unauthenticated(f"AWS does not accept these credentials ({code})")
    return IssuerUnavailable(f"{STS} cannot tell who this is now (status {heard.status}); try again later")


def _error_code(heard: Heard) -> str:
    found = _parsed(heard.body).findtext(".//{*}Code", "")
    return found.strip()


def _parsed(body: bytes) -> ET.Element:
    """The parser fetches nothing, knows no entities but XML's own, and gets no more than `ANSWER_BYTES_MAX`."""
    try:
        return ET.fromstring(body)  # noqa: S314 - see above
    except (ET.ParseError, ValueError, LookupError):
        raise nonsense(STS) from None

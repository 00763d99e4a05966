"""A request to STS that the caller has signed, so that no secret leaves their machine.

What is sent on is one request and no other: `GetCallerIdentity` at an STS that we know, signed for us, a short while ago.
Whoever was sent such a request for something else cannot use it here, because the audience is among what is signed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import parse_qsl

import httpx

from domain.failures import InvalidRequest, Unauthenticated

AUDIENCE_HEADER: Final = "x-berth-audience"
AGE_MAX: Final = timedelta(minutes=5)
"""Also how far the caller's clock may be ahead of ours."""
CALL: Final = "Action=GetCallerIdentity&Version=2011-06-15"
FORM: Final = "application/x-www-form-urlencoded"
_DATE: Final = "x-amz-date"
_SENT_BY_HTTPX: Final = frozenset({"host", "content-length"})
_SIGNABLE: Final = frozenset(
    {AUDIENCE_HEADER, "content-type", _DATE, "x-amz-content-sha256", "x-amz-security-token", *_SENT_BY_HTTPX}
)
_SIGNED_QUERY: Final = frozenset(
    {
        *("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires"),
        *("X-Amz-Security-Token", "X-Amz-Signature", "X-Amz-SignedHeaders"),
    }
)
_AUTHORIZATION: Final = re.compile(
    r"AWS4-HMAC-SHA256 Credential=[\w/-]{20,200}, ?SignedHeaders=(?P<signed>[a-z0-9;-]{1,400}), ?Signature=[0-9a-f]{64}",
    re.ASCII,
)
_PLAIN: Final = re.compile(r"[ -~]*")


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """As the caller sends it; names of headers in lower case."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Sendable:
    """What may be sent on."""

    method: str
    url: str
    headers: Mapping[str, str]
    content: str | None


def checked(signed: SignedRequest, origins: Collection[str], audience: str, now: datetime) -> Sendable:
    """The request as it may be sent on. Raises InvalidRequest, Unauthenticated."""
    url = _url(signed.url, origins)
    query = _query(url)
    if signed.method == "POST":
        _require(not query, "a signed POST has no query: its body is " + CALL)
    else:
        _require_call(query)
    if any(not _PLAIN.fullmatch(value) for value in signed.headers.values()):
        raise InvalidRequest("a signed request's headers hold printable ASCII alone")
    names = _signed_names(signed, query)
    _require_for_us(signed.headers, names, audience)
    _require_fresh(query.get("X-Amz-Date") or signed.headers.get(_DATE, ""), now)
    return _sendable(signed, url, names)


def _url(text: str, origins: Collection[str]) -> httpx.URL:
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, ValueError):
        raise InvalidRequest("the signed request's address is none") from None
    origin = f"{url.scheme}://{url.netloc.decode('ascii', 'replace')}"
    _require(origin in origins and not url.userinfo, f"a signed request may only be for {', '.join(sorted(origins))}")
    _require(url.raw_path.partition(b"?")[0] == b"/" and not url.fragment, "a signed request is for the path /")
    return url


def _query(url: httpx.URL) -> dict[str, str]:
    pairs = parse_qsl(url.query.decode("ascii", "replace"), keep_blank_values=True)
    found = dict(pairs)
    _require(len(found) == len(pairs), "a signed request names nothing twice")
    return found


def _require_call(query: Mapping[str, str]) -> None:
    call = dict(parse_qsl(CALL))
    asked = {name: value for name, value in query.items() if name not in _SIGNED_QUERY}
    _require(asked == call, f"a signed request asks for {CALL} and nothing else")


def _signed_names(signed: SignedRequest, query: Mapping[str, str]) -> set[str]:
    """Names of the headers that the signature covers."""
    header = signed.headers.get("authorization")
    in_query = "X-Amz-Signature" in query
    _require((header is None) == in_query, "a signed request has one signature: in its query or in its headers")
    found = _AUTHORIZATION.fullmatch(header) if header is not None else None
    _require(in_query or found is not None, "the signed request's Authorization is no AWS4-HMAC-SHA256")
    listed = found["signed"] if found else query.get("X-Amz-SignedHeaders", "")
    names = set(listed.split(";"))
    strange = ", ".join(sorted(names - _SIGNABLE)) or "nothing"
    _require(names <= _SIGNABLE, f"a signed request signs only {', '.join(sorted(_SIGNABLE))}; not {strange[:200]}")
    return names


def _require_for_us(headers: Mapping[str, str], names: Collection[str], audience: str) -> None:
    _require("host" in names, "the signed request does not sign its host")
    for_us = AUDIENCE_HEADER in names and headers.get(AUDIENCE_HEADER) == audience
    if not for_us:
        raise Unauthenticated(f"the request was not signed for us: sign the header {AUDIENCE_HEADER}: {audience}")


def _require_fresh(text: str, now: datetime) -> None:
    try:
        signed_at = datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise InvalidRequest("the signed request does not say when it was signed (X-Amz-Date)") from None
    if not now - AGE_MAX <= signed_at <= now + AGE_MAX:
        minutes = round(AGE_MAX.total_seconds() / 60)
        raise Unauthenticated(f"the request was not signed within the last {minutes} minutes; sign a new one")


def _sendable(signed: SignedRequest, url: httpx.URL, names: Collection[str]) -> Sendable:
    wanted = (set(names) | {"authorization", _DATE, "x-amz-security-token"}) - _SENT_BY_HTTPX
    headers = {name: value for name, value in signed.headers.items() if name in wanted}
    is_post = signed.method == "POST"
    if is_post:
        headers.setdefault("content-type", FORM)
    return Sendable(signed.method, str(url), headers, CALL if is_post else None)


def _require(claim: bool, otherwise: str) -> None:  # noqa: FBT001 - reads as a claim
    if not claim:
        raise InvalidRequest(otherwise)

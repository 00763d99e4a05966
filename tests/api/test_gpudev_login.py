"""Logging in with AWS: who may, who may not, and what becomes of the credentials. STS is moto, which checks signatures."""

from __future__ import annotations

import logging
import re
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from io import BytesIO
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import pytest_asyncio
import structlog
from awscrt.auth import (
    AwsCredentialsProvider,
    AwsSignatureType,
    AwsSigningAlgorithm,
    AwsSigningConfig,
    aws_sign_request,
)
from awscrt.http import HttpHeaders, HttpRequest

from api.auth import development
from api.auth.aws import AwsCredentials, StsPlace
from api.auth.aws_identity import AwsIdentity, AwsRules
from api.auth.login_doors import LoginDoors, LoginRules
from api.auth.rates import Rates
from domain.failures import Forbidden
from ledger import access
from tests.api.api_kit import opened
from tests.api.sts_server import ACCOUNT, ROLE, StsServer, running_sts
from tests.stand_in import StandIn, standing_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from cli.stack.testing import Postgres
    from tests.api.api_kit import TheApi

PATH = "/v1/auth/aws-login"
RULES = AwsRules((ACCOUNT,), (ROLE, "arn:aws:sts::123456789012:assumed-role/Ops-*/*"))
CALL = "Action=GetCallerIdentity&Version=2011-06-15"
FORM = "application/x-www-form-urlencoded"
IDENTITY = (
    '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
    "<UserId>AROA:x</UserId><Account>{account}</Account><Arn>{arn}</Arn>"
    "</GetCallerIdentityResult></GetCallerIdentityResponse>"
)
AN_ARN = f"arn:aws:sts::{ACCOUNT}:assumed-role/{ROLE}/jschmidt"
EXAMPLE = AwsCredentials(development.ACCESS_KEY_ID, development.SECRET_ACCESS_KEY)


@pytest.fixture(scope="module")
def sts() -> Iterator[StsServer]:
    with running_sts() as server:
        yield server


@pytest_asyncio.fixture(scope="module")
async def api(postgres: Postgres, migrated_template: str, sts: StsServer) -> AsyncIterator[TheApi]:
    rules = LoginRules(sts=StsPlace(origin=sts.url), aws=RULES)
    async with opened(postgres.create_database(template=migrated_template), logins=rules) as the_api:
        await the_api.register_clusters("worker-1")
        yield the_api


@asynccontextmanager
async def with_rules(api: TheApi, rules: LoginRules) -> AsyncIterator[TheApi]:
    """The same API with other rules for a while."""
    before = api.app.state.backends
    doors = LoginDoors(rules, api.clock)
    changed = {name: getattr(before, name) for name in before.__slots__}
    api.app.state.backends = type(before)(**{**changed, "logins": doors})
    try:
        yield api
    finally:
        api.app.state.backends = before
        await doors.close()


@asynccontextmanager
async def lying_sts(api: TheApi, seconds_max: float = 20) -> AsyncIterator[StandIn]:
    async with standing_in() as sts:
        rules = LoginRules(sts=StsPlace(origin=sts.url), aws=RULES, seconds_max=seconds_max)
        async with with_rules(api, rules):
            yield sts


def words(credentials: AwsCredentials) -> dict[str, str]:
    told = {"aws_access_key_id": credentials.access_key_id, "aws_secret_access_key": credentials.secret_access_key}
    return told | ({"aws_session_token": credentials.session_token} if credentials.session_token else {})


async def logged_in(api: TheApi, credentials: AwsCredentials) -> dict[str, Any]:
    answer = await api.call("POST", PATH, json=words(credentials))
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def refusal(api: TheApi, status: int, body: Any, path: str = PATH) -> Any:
    answer = await api.call("POST", path, json=body)
    assert answer.status_code == status, answer.text
    return answer.json()["detail"]


async def whoami(api: TheApi, key: str) -> httpx.Response:
    return await api.call("GET", "/berth/v1/whoami", headers={"Authorization": f"Bearer {key}"})


# --- who may -----------------------------------------------------------------------------------------------------------


async def test_credentials_are_exchanged_for_a_key_in_the_documents_words(api: TheApi, sts: StsServer) -> None:
    told = await logged_in(api, sts.session("jschmidt"))
    assert told.keys() == {
        *("api_key", "key_prefix", "user_id", "username", "aws_arn", "expires_at", "ttl_hours"),
    }
    assert (told["username"], told["aws_arn"], told["ttl_hours"]) == ("jschmidt", AN_ARN, 2)
    assert (told["api_key"][:8], type(told["user_id"])) == (told["key_prefix"], int)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", told["expires_at"])
    ends_in = datetime.fromisoformat(told["expires_at"]) - api.clock()
    assert timedelta(hours=2) - timedelta(seconds=30) < ends_in <= timedelta(hours=2)


async def test_the_key_works_in_every_dialect(api: TheApi, sts: StsServer) -> None:
    key = (await logged_in(api, sts.session("everywhere")))["api_key"]
    for path in ("/berth/v1/whoami", "/api/v1/slice-workspace/list", "/api/v1/jobs"):
        assert (await api.call("GET", path, headers={"Authorization": f"Bearer {key}"})).status_code == 200


async def test_who_comes_again_is_the_same_with_another_key(api: TheApi, sts: StsServer) -> None:
    first, second = [await logged_in(api, sts.session("again")) for _ in range(2)]
    assert first["user_id"] == second["user_id"]
    assert first["api_key"] != second["api_key"]


async def test_the_workspace_is_made_with_the_first_login(api: TheApi, sts: StsServer) -> None:
    key = (await logged_in(api, sts.session("Anna.Meyer@meta.com")))["api_key"]
    headers = {"Authorization": f"Bearer {key}"}
    items = (await api.call("GET", "/berth/v1/workspaces", headers=headers)).json()["items"]
    assert [one["name"] for one in items] == ["dev-anna-meyer"]
    assert (await whoami(api, key)).json()["principal"] == "Anna.Meyer@meta.com"


async def test_a_login_works_before_there_is_a_cluster(database_url: str, sts: StsServer) -> None:
    rules = LoginRules(sts=StsPlace(origin=sts.url), aws=RULES)
    async with opened(database_url, logins=rules) as empty:
        key = (await logged_in(empty, sts.session("early")))["api_key"]
        headers = {"Authorization": f"Bearer {key}"}
        assert (await empty.call("GET", "/berth/v1/workspaces", headers=headers)).json()["items"] == []


async def test_a_login_never_becomes_a_principal_of_the_same_name(api: TheApi, sts: StsServer) -> None:
    given = await api.someone("administrator", administrator=True)
    key = (await logged_in(api, sts.session("administrator")))["api_key"]
    told = (await whoami(api, key)).json()
    assert (told["principal"], told["administrator"]) == ("administrator@aws", False)
    assert told["principal_id"] != str(given.principal.id)


async def test_the_same_session_name_of_another_role_is_somebody_else(api: TheApi, sts: StsServer) -> None:
    one = await logged_in(api, sts.session("twin"))
    other = await logged_in(api, sts.session("twin", role="Ops-eu"))
    assert one["user_id"] != other["user_id"]
    assert (one["username"], other["username"][:5]) == ("twin", "twin-")


async def test_a_key_lives_as_long_as_is_set_up(api: TheApi, sts: StsServer) -> None:
    rules = LoginRules(sts=StsPlace(origin=sts.url), aws=RULES, key_hours=168)
    async with with_rules(api, rules):
        told = await logged_in(api, sts.session("patient"))
    assert told["ttl_hours"] == 168
    assert datetime.fromisoformat(told["expires_at"]) - api.clock() > timedelta(hours=167)


async def test_expired_keys_of_logins_are_not_kept_for_ever(api: TheApi, sts: StsServer) -> None:
    told = await logged_in(api, sts.session("tidy"))
    old = access.secret_hash(told["api_key"])
    session = sts.session("tidy")
    for days, left in ((2, 2), (8, 2)):
        api.clock.ahead = timedelta(days=days)
        await logged_in(api, session)
        async with api.ledger.reading() as connection:
            count = "select count(*) from api_key k join api_key o using (principal_id) where o.secret_hash = $1"
            found = await connection.fetchval(count, old)
        assert found == (left if days == 2 else 0)


# --- who may not -------------------------------------------------------------------------------------------------------


async def test_a_wrong_secret_is_401(api: TheApi, sts: StsServer) -> None:
    good = sts.session("careless")
    bad = AwsCredentials(good.access_key_id, "x" * 40, good.session_token)
    assert "AWS does not accept these credentials" in await refusal(api, 401, words(bad))


async def test_credentials_of_nobody_are_401(api: TheApi) -> None:
    nobody = AwsCredentials("ASIA" + "X" * 16, "x" * 40, "t" * 100)
    assert "AWS does not accept these credentials" in await refusal(api, 401, words(nobody))


async def test_another_role_is_403_and_hears_who_it_is(api: TheApi, sts: StsServer) -> None:
    detail = await refusal(api, 403, words(sts.session("guest", role="ReadOnly")))
    assert f"arn:aws:sts::{ACCOUNT}:assumed-role/ReadOnly/guest may not log in here" in detail


async def test_the_right_role_of_another_account_is_403(api: TheApi, sts: StsServer) -> None:
    detail = await refusal(api, 403, words(sts.session("mallory", account="999999999999")))
    assert "999999999999" in detail


@pytest.mark.parametrize("rules", [AwsRules(), AwsRules((ACCOUNT,), ()), AwsRules((), ("*",))])
async def test_where_nothing_is_set_up_nobody_may_and_sts_is_not_asked(api: TheApi, rules: AwsRules) -> None:
    async with standing_in() as sts, with_rules(api, LoginRules(sts=StsPlace(origin=sts.url), aws=rules)):
        assert await refusal(api, 403, words(EXAMPLE)) == "logging in with AWS is not set up here"
        assert await refusal(api, 403, signed(api, EXAMPLE, sts.url)) == "logging in with AWS is not set up here"
        assert sts.asked == []


def who(arn: str, role: str = "") -> AwsIdentity:
    return AwsIdentity(arn, "aws", ACCOUNT, role, arn.partition("/")[2])


@pytest.mark.parametrize(
    ("pattern", "arn", "role", "may"),
    [
        ("Dev", f"arn:aws:sts::{ACCOUNT}:assumed-role/Dev/ann", "Dev", True),
        ("Dev", f"arn:aws:sts::{ACCOUNT}:assumed-role/Developer/ann", "Developer", False),
        ("Dev", f"arn:aws:sts::{ACCOUNT}:assumed-role/Ops/Dev", "Ops", False),
        ("Dev*", f"arn:aws:sts::{ACCOUNT}:assumed-role/Developer/ann", "Developer", True),
        ("dev", f"arn:aws:sts::{ACCOUNT}:assumed-role/Dev/ann", "Dev", False),
        (f"arn:aws:iam::{ACCOUNT}:role/Dev", f"arn:aws:sts::{ACCOUNT}:assumed-role/Dev/ann", "Dev", True),
        (f"arn:aws:iam::{ACCOUNT}:role/Dev", f"arn:aws:sts::{ACCOUNT}:assumed-role/Ops/ann", "Ops", False),
        ("*", f"arn:aws:iam::{ACCOUNT}:user/ann", "", False),
        (f"arn:aws:iam::{ACCOUNT}:user/*", f"arn:aws:iam::{ACCOUNT}:user/ann", "", True),
    ],
)
def test_roles_are_listed_by_name_or_by_arn_and_users_by_arn_alone(
    pattern: str, arn: str, role: str, *, may: bool
) -> None:
    rules = AwsRules((ACCOUNT,), (pattern,))
    if may:
        rules.require_allowed(who(arn, role))
    else:
        with pytest.raises(Forbidden):
            rules.require_allowed(who(arn, role))


def test_a_role_of_single_sign_on_stays_the_same_when_aws_makes_it_anew() -> None:
    first, second = (
        who(f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/ann", role)
        for role in ("AWSReservedSSO_Dev_0123456789abcdef", "AWSReservedSSO_Dev_fedcba9876543210")
    )
    assert first.subject == second.subject


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"aws_access_key_id": ...}, "aws_access_key_id"),
        ({"aws_secret_access_key": ...}, "aws_secret_access_key"),
        ({"aws_access_key_id": "A" * 15}, "aws_access_key_id"),
        ({"aws_access_key_id": "A" * 129}, "aws_access_key_id"),
        ({"aws_access_key_id": "A" * 16 + "\r\nX: 1"}, "aws_access_key_id"),
        ({"aws_access_key_id": 7}, "aws_access_key_id"),
        ({"aws_secret_access_key": "s" * 39}, "aws_secret_access_key"),
        ({"aws_secret_access_key": "s" * 129}, "aws_secret_access_key"),
        ({"aws_secret_access_key": ["s" * 40]}, "aws_secret_access_key"),
        ({"aws_session_token": "t" * 99}, "aws_session_token"),
        ({"aws_session_token": "t" * 2049}, "aws_session_token"),
        ({"aws_session_token": "t" * 99 + "\n"}, "aws_session_token"),
    ],
)
async def test_a_wrong_shape_is_422_and_names_the_field_not_its_content(
    api: TheApi, change: dict[str, Any], field: str
) -> None:
    body = {"aws_access_key_id": "A" * 20, "aws_secret_access_key": "s" * 40, "aws_session_token": None, **change}
    detail = await refusal(api, 422, {name: value for name, value in body.items() if value is not ...})
    assert [(one["loc"], one["input"]) for one in detail] == [(["body", field], None)]
    assert "ssss" not in str(detail)
    assert "tttt" not in str(detail)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'"x"', b"{}", b'{"signed_request": null}'])
async def test_a_body_that_is_none_is_422(api: TheApi, content: bytes) -> None:
    answer = await api.call("POST", PATH, content=content)
    assert answer.status_code == 422, answer.text


async def test_a_body_too_large_is_413(api: TheApi) -> None:
    assert (await api.call("POST", PATH, content=b"x" * 300_000)).status_code == 413


async def test_too_many_attempts_from_one_address_are_429_and_sts_is_asked_no_more(api: TheApi) -> None:
    credentials = api.app.state.credentials
    api.app.state.credentials = type(credentials)(credentials.keys, credentials.tokens, Rates("", "3/day"))
    try:
        async with lying_sts(api) as sts:
            sts.says("/", status=500)
            statuses = [(await api.call("POST", PATH, json=words(EXAMPLE))).status_code for _ in range(5)]
            assert (statuses, len(sts.asked)) == ([503, 503, 503, 429, 429], 3)
    finally:
        api.app.state.credentials = credentials


# --- STS is not well ---------------------------------------------------------------------------------------------------


def an_identity(arn: str = AN_ARN, account: str = ACCOUNT) -> str:
    return IDENTITY.format(arn=arn, account=account)


async def test_sts_that_is_away_is_503(api: TheApi) -> None:
    async with standing_in() as gone:
        rules = LoginRules(sts=StsPlace(origin=gone.url), aws=RULES)
    async with with_rules(api, rules):
        assert await refusal(api, 503, words(EXAMPLE)) == "AWS STS does not answer; try again later"


@pytest.mark.parametrize(
    "more",
    [
        {"bytes_sent": 65 * 1024},
        {"bytes_sent": 50_000_000},
        {"hangs_up": True},
        {"status": 500},
        {"status": 302, "headers": {"location": "http://127.0.0.1:1/"}},
        {"status": 403},
        {"status": 400},
    ],
    ids=str,
)
async def test_sts_that_is_broken_is_503(api: TheApi, more: dict[str, Any]) -> None:
    async with lying_sts(api) as sts:
        sts.says("/", an_identity(), **more)
        detail = await refusal(api, 503, words(EXAMPLE))
        assert detail.startswith("AWS STS ")
        assert detail.endswith("try again later")
        assert len(sts.asked) == 1


@pytest.mark.parametrize("more", [{"seconds": 60}, {"seconds_within": 60}], ids=["at once", "in the middle"])
async def test_sts_that_is_slow_is_503(api: TheApi, more: dict[str, Any]) -> None:
    async with lying_sts(api, seconds_max=1) as sts:
        sts.says("/", an_identity(), **more)
        assert await refusal(api, 503, words(EXAMPLE)) == "AWS STS did not answer within 1 s; try again later"


async def test_the_stand_in_is_believed_when_it_tells_the_truth(api: TheApi) -> None:
    async with lying_sts(api) as sts:
        sts.says("/", an_identity())
        assert (await logged_in(api, EXAMPLE))["aws_arn"] == AN_ARN
        assert sts.asked[0].body.decode() == CALL
        assert "AKIAIOSFODNN7EXAMPLE" in sts.asked[0].headers["authorization"]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "not XML at all",
        "{}",
        '{"GetCallerIdentityResponse": {"GetCallerIdentityResult": {"Arn": "' + AN_ARN + '"}}}',
        an_identity().replace("https://sts.amazonaws.com", "https://elsewhere.example"),
        an_identity().replace("GetCallerIdentityResponse", "AssumeRoleResponse"),
        an_identity().replace("<Arn>", "<Name>").replace("</Arn>", "</Name>"),
        an_identity(account="999999999999"),
        an_identity(arn=""),
        an_identity(arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/{ROLE}/a b"),
        an_identity(arn=f"arn:aws:ec2::{ACCOUNT}:assumed-role/{ROLE}/a"),
        an_identity(arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/{ROLE}/" + "a" * 1000),
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]>' + an_identity(arn="&x;"),
        '<!DOCTYPE a [<!ENTITY x "' + "y" * 1000 + '">]>' + an_identity(arn="&x;" * 1000),
        an_identity()[:-10],
        '<?xml version="1.0" encoding="no-such"?>' + an_identity(),
    ],
)
async def test_sts_that_talks_nonsense_is_503_and_makes_nobody(api: TheApi, body: str) -> None:
    async with lying_sts(api) as sts:
        sts.says("/", body)
        assert "cannot be understood" in await refusal(api, 503, words(EXAMPLE))


async def test_an_answer_that_would_unfold_is_not_unfolded(api: TheApi) -> None:
    async with lying_sts(api) as sts:
        sts.says("/", an_identity(), headers={"content-encoding": "gzip"})
        assert (await logged_in(api, EXAMPLE))["aws_arn"] == AN_ARN
        assert sts.asked[0].headers["accept-encoding"] == "identity"


async def test_the_root_user_of_an_account_is_403(api: TheApi) -> None:
    async with lying_sts(api) as sts:
        sts.says("/", an_identity(arn=f"arn:aws:iam::{ACCOUNT}:root"))
        assert "root user" in await refusal(api, 403, words(EXAMPLE))


@pytest.mark.parametrize("code", ["ExpiredToken", "RequestExpired"])
async def test_expired_credentials_are_401_and_say_what_to_do(api: TheApi, code: str) -> None:
    async with lying_sts(api) as sts:
        error = f'<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Code>{code}</Code></Error></ErrorResponse>'
        sts.says("/", error, 403)
        assert await refusal(api, 401, words(EXAMPLE)) == "the AWS credentials have expired; log in to AWS again"


async def test_sts_that_has_enough_of_us_is_503(api: TheApi) -> None:
    async with lying_sts(api) as sts:
        sts.says("/", "<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>", 400)
        assert "cannot tell who this is now" in await refusal(api, 503, words(EXAMPLE))


# --- a signed request instead of secrets -------------------------------------------------------------------------------


def signed(
    api: TheApi,
    credentials: AwsCredentials,
    url: str,
    *,
    method: str = "POST",
    path: str = "/",
    body: str = CALL,
    in_query: bool = False,
    audience: str | None = "berth",
    ago: timedelta = timedelta(0),
    headers: dict[str, str] | None = None,
) -> dict[str, Any]:
    """A body of the login: what AWS's own library signs on the caller's machine."""
    given = {"Host": httpx.URL(url).netloc.decode(), **({"X-Berth-Audience": audience} if audience else {})}
    given |= ({"Content-Type": FORM} if method == "POST" else {}) | (headers or {})
    request = HttpRequest(method, path, HttpHeaders(list(given.items())), BytesIO(body.encode()))
    config = AwsSigningConfig(
        algorithm=AwsSigningAlgorithm.V4,
        signature_type=AwsSignatureType.HTTP_REQUEST_QUERY_PARAMS
        if in_query
        else AwsSignatureType.HTTP_REQUEST_HEADERS,
        credentials_provider=AwsCredentialsProvider.new_static(
            credentials.access_key_id, credentials.secret_access_key, credentials.session_token or None
        ),
        region="us-east-1",
        service="sts",
        date=api.clock() - ago,
        expiration_in_seconds=3600 if in_query else None,
    )
    done = aws_sign_request(request, config).result(1)
    return {"signed_request": {"method": method, "url": f"{url}{done.path}", "headers": dict(done.headers)}}


async def test_a_signed_post_is_as_good_as_the_credentials(api: TheApi, sts: StsServer) -> None:
    credentials = sts.session("signer")
    answer = await api.call("POST", PATH, json=signed(api, credentials, sts.url))
    assert answer.status_code == 200, answer.text
    assert answer.json()["user_id"] == (await logged_in(api, credentials))["user_id"]


async def test_a_signed_get_is_so_too(api: TheApi, sts: StsServer) -> None:
    getter = sts.session("getter")
    sts.check_signatures(wanted=False)  # moto takes a GET's query for its body, and finds its signature wrong
    body = signed(api, getter, sts.url, method="GET", path=f"/?{CALL}", body="")
    answer = await api.call("POST", PATH, json=body)
    assert (answer.status_code, answer.json().get("username")) == (200, "getter")


async def test_a_request_that_is_signed_in_its_address_arrives_as_it_was_signed(api: TheApi) -> None:
    async with lying_sts(api) as sts:
        sts.says("/", an_identity())
        body = signed(api, EXAMPLE, sts.url, method="GET", path=f"/?{CALL}", body="", in_query=True)
        assert (await api.call("POST", PATH, json=body)).status_code == 200
        assert f"{sts.url}{sts.asked[0].path}" == body["signed_request"]["url"]
        assert sts.asked[0].headers["x-berth-audience"] == "berth"


async def test_a_signature_of_nobody_is_401(api: TheApi, sts: StsServer) -> None:
    good = sts.session("forger")
    body = signed(api, AwsCredentials(good.access_key_id, "x" * 40, good.session_token), sts.url)
    assert "AWS does not accept" in await refusal(api, 401, body)


@pytest.mark.parametrize("minutes", [6, 60, -6])
async def test_a_signature_is_good_for_five_minutes(api: TheApi, minutes: int) -> None:
    async with lying_sts(api) as sts:
        body = signed(api, EXAMPLE, sts.url, ago=timedelta(minutes=minutes))
        assert "within the last 5 minutes" in await refusal(api, 401, body)
        assert sts.asked == []


@pytest.mark.parametrize("audience", [None, "somebody-else", ""])
async def test_what_was_signed_for_others_is_401(api: TheApi, audience: str | None) -> None:
    async with lying_sts(api) as sts:
        assert "x-berth-audience: berth" in await refusal(api, 401, signed(api, EXAMPLE, sts.url, audience=audience))
        assert sts.asked == []


async def test_an_audience_that_was_added_later_is_401(api: TheApi) -> None:
    async with lying_sts(api) as sts:
        body = signed(api, EXAMPLE, sts.url, audience=None)
        body["signed_request"]["headers"]["X-Berth-Audience"] = "berth"
        await refusal(api, 401, body)
        assert sts.asked == []


@pytest.mark.parametrize(
    "url",
    [
        "https://sts.evil.example/",
        "https://sts.us-east-1.amazonaws.com.evil.example/",
        "http://sts.us-east-1.amazonaws.com/",
        "http://169.254.169.254/",
        "file:///etc/passwd",
        "//sts.us-east-1.amazonaws.com/",
        "",
        "http://[::1",
        "http://\u0000/",
        "{url}.evil.example/",
        "{url}@evil.example/",
        "http://user@{host}/",
        "{url}/elsewhere",
        "{url}//",
        "{url}/?Action=AssumeRole",
        "{url}/#x",
    ],
)
async def test_a_signed_request_for_anything_else_is_400_and_nobody_is_asked(api: TheApi, url: str) -> None:
    async with lying_sts(api) as sts:
        body = signed(api, EXAMPLE, sts.url)
        body["signed_request"]["url"] = url.format(url=sts.url, host=sts.url.removeprefix("http://"))
        await refusal(api, 400, body)
        assert sts.asked == []


async def test_hosts_that_are_listed_may_be_signed_for(api: TheApi) -> None:
    async with standing_in() as own, standing_in() as further:
        further.says("/", an_identity())
        rules = LoginRules(sts=StsPlace(origin=own.url, origins=frozenset({further.url})), aws=RULES)
        async with with_rules(api, rules):
            assert (await api.call("POST", PATH, json=signed(api, EXAMPLE, further.url))).status_code == 200
        assert (len(own.asked), len(further.asked)) == (0, 1)


@pytest.mark.parametrize(
    "query",
    [
        "Action=AssumeRole&Version=2011-06-15",
        "Action=GetCallerIdentity&Version=2011-06-15&Action=AssumeRole",
        "Action=GetCallerIdentity&Version=2011-06-15&RoleArn=x",
        "Action=GetCallerIdentity",
        "Version=2011-06-15",
        "",
    ],
)
@pytest.mark.parametrize("in_query", [False, True])
async def test_only_one_question_may_be_signed(api: TheApi, query: str, *, in_query: bool) -> None:
    async with lying_sts(api) as sts:
        body = signed(api, EXAMPLE, sts.url, method="GET", path=f"/?{query}", body="", in_query=in_query)
        await refusal(api, 400, body)
        assert sts.asked == []


async def test_the_body_of_a_signed_post_is_ours(api: TheApi, sts: StsServer) -> None:
    body = signed(api, sts.session("trickster"), sts.url, body="Action=AssumeRole&Version=2011-06-15")
    await refusal(api, 401, body)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Amz-Target": "x"},
        {"Accept": "application/json"},
        {"Cookie": "a=b"},
    ],
    ids=str,
)
async def test_only_known_headers_may_be_signed(api: TheApi, headers: dict[str, str]) -> None:
    async with lying_sts(api) as sts:
        await refusal(api, 400, signed(api, EXAMPLE, sts.url, headers=headers))
        assert sts.asked == []


async def test_headers_that_are_not_signed_are_not_sent_on(api: TheApi) -> None:
    async with lying_sts(api) as sts:
        sts.says("/", an_identity())
        body = signed(api, EXAMPLE, sts.url)
        body["signed_request"]["headers"] |= {"Cookie": "a=b", "X-Forwarded-For": "1.2.3.4", "Accept": "text/html"}
        assert (await api.call("POST", PATH, json=body)).status_code == 200
        assert not {"cookie", "x-forwarded-for"} & sts.asked[0].headers.keys()
        assert sts.asked[0].headers["accept"] != "text/html"


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"method": "PUT"}, 422),
        ({"method": "DELETE"}, 422),
        ({"url": 7}, 422),
        ({"headers": None}, 422),
        ({"headers": {f"h{n}": "x" for n in range(21)}}, 422),
        ({"headers": {"a b": "x"}}, 422),
        ({"headers": {"authorization": "x\r\nHost: evil"}}, 422),
        ({"headers": {"authorization": "x" * 4097}}, 422),
        ({"headers": {}}, 400),
        ({"headers": {"Authorization": "Bearer x"}}, 400),
        ({"headers": {"Authorization": "AWS4-HMAC-SHA256 " + "Credential=" * 400}}, 422),
    ],
    ids=str,
)
async def test_a_signed_request_of_a_wrong_shape_is_refused(api: TheApi, change: dict[str, Any], status: int) -> None:
    async with lying_sts(api) as sts:
        body = signed(api, EXAMPLE, sts.url)
        body["signed_request"] |= change
        await refusal(api, status, body)
        assert sts.asked == []


async def test_a_signature_without_a_date_or_with_two_signatures_is_400(api: TheApi) -> None:
    async with lying_sts(api) as sts:
        undated, double = signed(api, EXAMPLE, sts.url), signed(api, EXAMPLE, sts.url)
        del undated["signed_request"]["headers"]["X-Amz-Date"]
        query = signed(api, EXAMPLE, sts.url, method="GET", path=f"/?{CALL}", body="", in_query=True)
        double["signed_request"] |= {"method": "GET", "url": query["signed_request"]["url"]}
        assert "X-Amz-Date" in await refusal(api, 400, undated)
        assert "one signature" in await refusal(api, 400, double)
        assert sts.asked == []


# --- keys after the login ----------------------------------------------------------------------------------------------


async def rotated(api: TheApi, key: str, status: int = 200) -> dict[str, Any]:
    answer = await api.call("POST", "/v1/keys/rotate", headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == status, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def test_an_expired_key_is_401_and_says_so(api: TheApi, sts: StsServer) -> None:
    key = (await logged_in(api, sts.session("late")))["api_key"]
    api.clock.ahead = timedelta(hours=2, seconds=1)
    assert (await rotated(api, key, 401))["detail"] == "API key has expired"


async def test_a_rotated_key_has_fresh_time_and_the_old_one_lives_until_its_end(api: TheApi, sts: StsServer) -> None:
    old = await logged_in(api, sts.session("rotator"))
    api.clock.ahead = timedelta(hours=1)
    new = await rotated(api, old["api_key"])
    assert new.keys() == {"api_key", "key_prefix", "user_id", "username", "expires_at"}
    assert (new["user_id"], new["username"]) == (old["user_id"], "rotator")
    assert [(await whoami(api, one["api_key"])).status_code for one in (old, new)] == [200, 200]
    api.clock.ahead = timedelta(hours=2, minutes=30)
    assert [(await whoami(api, one["api_key"])).status_code for one in (old, new)] == [401, 200]


async def test_rotation_ends_a_month_after_the_login(api: TheApi, sts: StsServer) -> None:
    rules = LoginRules(sts=StsPlace(origin=sts.url), aws=RULES, key_hours=168)
    async with with_rules(api, rules):
        key = (await logged_in(api, sts.session("eternal")))["api_key"]
        for day in range(6, 30, 6):
            api.clock.ahead = timedelta(days=day)
            key = (await rotated(api, key))["api_key"]
        api.clock.ahead = timedelta(days=30, minutes=1)
        assert "log in again" in (await rotated(api, key, 401))["detail"]


async def test_a_revoked_key_is_401_and_does_not_rotate(api: TheApi, sts: StsServer) -> None:
    key = (await logged_in(api, sts.session("revoked")))["api_key"]
    headers = {"Authorization": f"Bearer {key}"}
    mine = (await api.call("GET", "/berth/v1/keys", headers=headers)).json()["items"]
    assert (await api.call("DELETE", f"/berth/v1/keys/{mine[0]['id']}", headers=headers)).status_code == 200
    await rotated(api, key, 401)
    api.clock.ahead = timedelta(seconds=3)
    await rotated(api, key, 401)


async def test_a_given_key_rotates_too_but_gets_no_more_time_or_power_by_it(api: TheApi) -> None:
    owner = await api.someone()
    workspace = await api.workspace_id(await api.workspace(owner))
    end = api.clock() + timedelta(minutes=30)
    narrow = await api.someone(principal=owner.principal, confined_to=workspace, valid_until=end)
    told = await rotated(api, narrow.key)
    assert datetime.fromisoformat(told["expires_at"]) == end
    mine = (await whoami(api, told["api_key"])).json()
    assert mine["workspace"] is not None


async def test_a_key_without_an_end_rotates_to_one_that_ends(api: TheApi) -> None:
    someone = await api.someone()
    told = await rotated(api, someone.key)
    assert datetime.fromisoformat(told["expires_at"]) <= api.clock() + timedelta(hours=2)


async def test_a_token_rotates_the_key_that_it_stands_for(api: TheApi) -> None:
    someone = await api.someone()
    token = (await api.call("POST", "/api/v1/auth", json={"apiKey": someone.key})).json()["data"]["token"]
    assert (await whoami(api, (await rotated(api, token))["api_key"])).status_code == 200


@pytest.mark.parametrize("path", [PATH, "/v1/auth/oidc-login"])
async def test_a_login_needs_no_key_and_is_put_off_by_none(api: TheApi, path: str) -> None:
    for bearer in (None, "Bearer berth_dead", "Basic x"):
        headers = {} if bearer is None else {"Authorization": bearer}
        assert (await api.call("POST", path, json={}, headers=headers)).status_code == 422


# --- while developing --------------------------------------------------------------------------------------------------


async def test_the_example_key_counts_for_nothing_unless_it_is_asked_for(api: TheApi) -> None:
    assert "AWS does not accept" in await refusal(api, 401, words(EXAMPLE))


async def test_development_takes_the_example_key_alone_and_warns_each_time(
    api: TheApi, sts: StsServer, said: list[dict[str, Any]]
) -> None:
    rules = LoginRules(sts=StsPlace(origin=sts.url), aws=RULES, is_development=True)
    async with with_rules(api, rules):
        told = await logged_in(api, EXAMPLE)
        assert (told["username"], told["user_id"]) == ("developer", (await logged_in(api, EXAMPLE))["user_id"])
        almost = AwsCredentials(EXAMPLE.access_key_id, "x" * 40)
        await refusal(api, 401, words(almost))
    assert [one["log_level"] for one in said if one["event"] == development.WARNING] == ["warning", "warning"]


async def test_development_needs_neither_sts_nor_rules(api: TheApi) -> None:
    async with with_rules(api, LoginRules(is_development=True)):
        assert (await logged_in(api, EXAMPLE))["username"] == "developer"
        await refusal(api, 403, words(AwsCredentials("ASIA" + "X" * 16, "x" * 40)))


# --- nothing secret is written down ------------------------------------------------------------------------------------


@pytest.fixture
def said() -> Iterator[list[dict[str, Any]]]:
    """What is logged, structured, with whatever stands beside it."""
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        yield lines


async def test_no_secret_stands_in_the_log_the_answers_or_the_ledger(
    api: TheApi, sts: StsServer, said: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    good = sts.session("discreet")
    wrong = AwsCredentials(good.access_key_id, "W" * 40, good.session_token)
    query = signed(api, good, sts.url, method="GET", path=f"/?{CALL}", body="", in_query=True)
    bodies = [words(good), words(wrong), signed(api, good, sts.url), query, {**words(good), "aws_access_key_id": "x"}]
    answers = [await api.call("POST", PATH, json=body) for body in bodies]
    async with lying_sts(api) as lying:
        lying.says("/", "<nonsense>" + good.session_token)
        answers += [await api.call("POST", PATH, json=words(good))]
        lying.says("/", hangs_up=True)
        answers += [await api.call("POST", PATH, json=words(good))]
    assert [answer.status_code for answer in answers][:2] == [200, 401]
    keys = [answer.json().get("api_key") for answer in answers]
    secrets = [good.secret_access_key, good.session_token, good.session_token[:40], wrong.secret_access_key]
    secrets += re.findall(r"Signature=([0-9a-f]{64})", f"{bodies}")
    written = f"{said}\n{caplog.text}\n{await everything_in_the_ledger(api)}"
    told = "\n".join(answer.text for answer in answers)
    assert len(said) >= len(bodies)
    assert [secret for secret in secrets if secret in written or secret in told] == []
    assert [key for key in keys if key and key in written] == []


async def everything_in_the_ledger(api: TheApi) -> str:
    async with api.ledger.reading() as connection:
        tables = await connection.fetch("select tablename from pg_tables where schemaname = 'public'")
        rows = [await connection.fetch(f'select * from "{row["tablename"]}"') for row in tables]
    return str(rows)


def test_what_is_shown_of_credentials_is_their_id() -> None:
    assert str(EXAMPLE) == f"AwsCredentials(access_key_id='{EXAMPLE.access_key_id}')"

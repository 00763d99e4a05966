"""Who may log in, as the environment says it; and a process that says aloud that it lets developers in."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from api.auth.development import ACCESS_KEY_ID, SECRET_ACCESS_KEY, WARNING
from api.settings import Settings
from tests.api.test_process import served
from worker.settings import WorkerSettings

if TYPE_CHECKING:
    from api.auth.login_doors import LoginRules


def rules(monkeypatch: pytest.MonkeyPatch, **environment: str) -> LoginRules:
    for name, value in environment.items():
        monkeypatch.setenv(f"BERTH_{name}", value)
    return Settings(DATABASE_URL="postgresql://ledger").logins


def test_nobody_may_unless_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    found = rules(monkeypatch)
    assert (found.aws.accounts, found.aws.roles, dict(found.oidc), found.is_development) == ((), (), {}, False)
    assert (found.sts.origin, found.key_hours) == ("https://sts.us-east-1.amazonaws.com", 2)


def test_everything_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    found = rules(
        monkeypatch,
        AWS_ACCOUNTS="308535385114, 123456789012",
        AWS_ROLES="SSOCloudDevGpuReservation,Ops-*",
        AWS_REGION="eu-central-1",
        AWS_STS_HOSTS="sts.amazonaws.com",
        AWS_AUDIENCE="gpus.example.com",
        OIDC_ISSUERS="https://one.example=a, https://one.example=b, https://two.example/tenant?x=y=c",
        LOGIN_KEY_HOURS="168",
        GPUDEV_DEVELOPMENT_LOGIN="true",
    )
    assert found.aws.accounts == ("308535385114", "123456789012")
    assert found.aws.roles == ("SSOCloudDevGpuReservation", "Ops-*")
    assert (found.sts.region, found.sts.origin) == ("eu-central-1", "https://sts.eu-central-1.amazonaws.com")
    assert (found.sts.origins, found.audience) == (frozenset({"https://sts.amazonaws.com"}), "gpus.example.com")
    assert found.oidc == {"https://one.example": {"a", "b"}, "https://two.example/tenant?x=y": {"c"}}
    assert (found.key_hours, found.is_development) == (168, True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_ACCOUNTS", "12345"),
        ("AWS_ACCOUNTS", "*"),
        ("AWS_REGION", "evil.example/"),
        ("AWS_STS_URL", "http://sts.example"),
        ("AWS_STS_URL", "https://sts.example/path"),
        ("AWS_STS_URL", "https://user@sts.example"),
        ("AWS_STS_URL", "sts.example"),
        ("AWS_STS_HOSTS", "https://sts.amazonaws.com"),
        ("AWS_STS_HOSTS", "sts.amazonaws.com/x"),
        ("AWS_AUDIENCE", "a b"),
        ("OIDC_ISSUERS", "https://one.example"),
        ("OIDC_ISSUERS", "https://one.example="),
        ("OIDC_ISSUERS", "http://one.example=a"),
        ("OIDC_ISSUERS", "one.example=a"),
        ("LOGIN_KEY_HOURS", "0"),
        ("LOGIN_KEY_HOURS", "169"),
        ("LOGIN_SECONDS", "0"),
    ],
)
def test_what_would_let_anybody_in_is_refused_at_the_start(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    with pytest.raises(ValidationError):
        rules(monkeypatch, **{name: value})


@pytest.mark.parametrize("host", ["127.0.0.1:5000", "localhost:5000", "[::1]:5000"])
def test_a_stand_in_on_this_machine_needs_no_tls(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    assert rules(monkeypatch, AWS_STS_URL=f"http://{host}/").sts.origin == f"http://{host}"


def worker(monkeypatch: pytest.MonkeyPatch, url: str) -> str:
    monkeypatch.setenv("BERTH_GITHUB_URL", url)
    return WorkerSettings(database_url="postgresql://ledger").berth_github_url


@pytest.mark.parametrize("url", ["https://github.com", "https://git.example/x/", "http://127.0.0.1:8080"])
def test_keys_come_over_tls_or_from_this_machine(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    assert worker(monkeypatch, url) == url


@pytest.mark.parametrize(
    "url", ["http://github.com", "github.com", "https://", "https://a@b", "http://127.0.0.1.evil", ""]
)
def test_keys_come_from_nowhere_else(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    with pytest.raises(ValidationError):
        worker(monkeypatch, url)


async def test_a_process_that_lets_developers_in_says_so_at_its_start_and_at_each_login(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BERTH_GPUDEV_DEVELOPMENT_LOGIN", "true")
    body = {"aws_access_key_id": ACCESS_KEY_ID, "aws_secret_access_key": SECRET_ACCESS_KEY}
    async with served(database_url) as (client, process):
        answer = await client.post("/v1/auth/aws-login", json=body)
        assert (answer.status_code, answer.json()["username"]) == (200, "developer")
        process.send_signal(signal.SIGTERM)
        _, log = await process.communicate()
    lines: list[dict[str, Any]] = [json.loads(line) for line in log.decode().splitlines()]
    assert sum(line["event"] == WARNING for line in lines) == 2
    assert lines[0]["event"] == WARNING
    assert SECRET_ACCESS_KEY not in log.decode()
    assert answer.json()["api_key"] not in log.decode()

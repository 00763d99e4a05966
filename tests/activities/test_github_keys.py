"""People's keys as GitHub publishes them: which are let in, and what is written down where there are none."""

from __future__ import annotations

import base64
import struct
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from temporalio.testing import ActivityEnvironment

from activities.github_keys import BYTES_MAX, KEYS_MAX, GithubKeys, GithubUnavailable
from activities.public_keys import usable_keys
from domain.failures import InvalidRequest
from domain.github import checked_user_name
from ledger import boxes
from tests.builders import a_box, a_workspace, now
from tests.stand_in import StandIn, standing_in
from workflows.signatures.leases import GprAt

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from domain.box import Person
    from ledger.connection import Ledger


def ssh(key: Any) -> str:
    return str(key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode())


def hardware(kind: str, *parts: bytes) -> str:
    """A key that is in a piece of hardware."""
    fields = (kind.encode(), *parts, b"ssh:")
    return f"{kind} " + base64.b64encode(b"".join(struct.pack(">I", len(one)) + one for one in fields)).decode()


def an_ed25519() -> str:
    return ssh(ed25519.Ed25519PrivateKey.generate())


ED25519 = an_ed25519()
RSA = ssh(rsa.generate_private_key(65537, 2048))
SHORT_RSA = ssh(rsa.generate_private_key(65537, 1024))
ECDSA = [ssh(ec.generate_private_key(curve)) for curve in (ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1())]
SK_ED25519 = hardware("sk-ssh-ed25519@openssh.com", base64.b64decode(ED25519.split()[1])[-32:])
SK_ECDSA = hardware("sk-ecdsa-sha2-nistp256@openssh.com", b"nistp256", base64.b64decode(ECDSA[0].split()[1])[-65:])


@pytest_asyncio.fixture
async def github() -> AsyncIterator[StandIn]:
    async with standing_in() as stand_in:
        yield stand_in


async def fetched(
    ledger: Ledger, url: str, box_id: UUID, *, later: timedelta = timedelta(0), seconds: float = 20
) -> Any:
    keys = GithubKeys(ledger, url, seconds_max=seconds)
    return await ActivityEnvironment().run(keys.fetch_keys, GprAt(str(box_id), now() + later))


async def people(ledger: Ledger, box_id: UUID) -> dict[str, Person]:
    async with ledger.reading() as connection:
        return {person.name: person for person in (await boxes.find(connection, box_id)).people}


async def ada_in_a_box(ledger: Ledger) -> UUID:
    return await a_box(ledger, await a_workspace(ledger), github_user="ada")


async def add(ledger: Ledger, box_id: UUID, name: str) -> None:
    async with ledger.transaction() as connection:
        await boxes.add_person(connection, box_id, name, now())


# --- what is let in ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [ED25519, RSA, *ECDSA, SK_ED25519, SK_ECDSA], ids=lambda key: key.split()[0])
def test_keys_of_every_good_kind_are_kept(key: str) -> None:
    assert list(usable_keys(f"{key}\n")) == [key]


@pytest.mark.parametrize(
    "line",
    [
        f"{ED25519} ada@laptop",
        f"  {ED25519}\r",
        f"{ED25519}\tada with a long comment ssh-rsa AAAA",
        f"no-pty {ED25519} ada",
        f'command="rm -rf /" {ED25519}',
        f'command="echo \\"ssh-rsa AAAA\\" {ED25519}",no-agent-forwarding {ED25519} x',
        f'from="10.0.0.*",environment="LD_PRELOAD=/tmp/x" {ED25519}',
    ],
)
def test_options_and_comments_are_left_out(line: str) -> None:
    assert list(usable_keys(line)) == [ED25519]


@pytest.mark.parametrize(
    "line",
    [
        SHORT_RSA,
        "ssh-ed25519",
        "ssh-ed25519 AAAA",
        "ssh-ed25519 !!!!",
        ED25519[:-4],
        ED25519 + "AAAA",
        ED25519.replace("ssh-ed25519", "ssh-rsa"),
        ED25519.replace("ssh-ed25519", "ssh-ed25519-cert-v01@openssh.com"),
        ED25519.replace("ssh-ed25519", "ssh-unknown"),
        "#" + ED25519,
        f'command="unfinished {ED25519}',
        f"a b {ED25519}",
        "<html><body>captive portal</body></html>",
        "\ufffd" * 100,
        "ssh-ed25519 " + "A" * 9000,
        "\0" + ED25519,
        'x="' * 2000,
    ],
    ids=lambda line: line[:30],
)
def test_what_is_no_good_key_spoils_no_other(line: str) -> None:
    began = time.monotonic()
    assert list(usable_keys(f"{line}\n{RSA}\n{line}")) == [RSA]
    assert time.monotonic() - began < 5


def test_old_kinds_are_not_let_in() -> None:
    key = base64.b64encode(b"\0\0\0\x07ssh-dss" + b"\0\0\0\x01\x01" * 4).decode()
    assert list(usable_keys(f"ssh-dss {key}")) == []


def test_a_key_is_kept_once() -> None:
    assert list(usable_keys(f"{ED25519} home\n{RSA}\n{ED25519} work\n")) == [ED25519, RSA]


@pytest.mark.parametrize("name", ["Ada", "a", "a-b-c", "x" * 39, "0", "old-name-", "ada_acme"])
def test_names_of_github_are_compared_in_lower_case(name: str) -> None:
    assert checked_user_name(name) == name.lower()


@pytest.mark.parametrize(
    "name",
    ["", "-a", "a--b", "a/b", "a.b", "../x", "x" * 40, "\u00fc", "a b", "a\n", "a?", "a%2e", "a@b", "_a", "a_b_c"],
)
def test_what_cannot_be_a_name_of_github_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest):
        checked_user_name(name)


# --- where they come from ----------------------------------------------------------------------------------------------


async def test_the_keys_of_everybody_are_written(ledger: Ledger, github: StandIn) -> None:
    github.says("/ada.keys", f"{ED25519} ada@laptop\nnonsense\n{RSA}\n")
    github.says("/grace.keys", ECDSA[0])
    box_id = await ada_in_a_box(ledger)
    await add(ledger, box_id, "Grace")
    standing = await fetched(ledger, github.url, box_id)
    found = await people(ledger, box_id)
    assert (found["ada"].keys, found["grace"].keys) == ((ED25519, RSA), (ECDSA[0],))
    assert standing.gpr_id == str(box_id)
    async with ledger.reading() as connection:
        orders = await boxes.orders(connection, box_id, now())
    assert orders.authorized_keys == (ED25519, RSA, ECDSA[0])


async def test_whose_keys_are_there_is_not_asked_for_again(ledger: Ledger, github: StandIn) -> None:
    github.says("/ada.keys", ED25519)
    box_id = await ada_in_a_box(ledger)
    first = await fetched(ledger, github.url, box_id)
    again = await fetched(ledger, github.url, box_id)
    assert (len(github.asked), again.version) == (1, first.version)


async def test_keys_are_kept_for_ten_minutes_for_other_boxes(ledger: Ledger, github: StandIn) -> None:
    github.says("/ada.keys", ED25519)
    for minutes, asked in ((0, 1), (9, 1), (11, 2)):
        box_id = await ada_in_a_box(ledger)
        await fetched(ledger, github.url, box_id, later=timedelta(minutes=minutes))
        assert (await people(ledger, box_id))["ada"].keys == (ED25519,)
        assert len(github.asked) == asked


async def test_no_more_than_fifty_keys_are_kept(ledger: Ledger, github: StandIn) -> None:
    keys = [an_ed25519() for _ in range(KEYS_MAX + 5)]
    github.says("/ada.keys", "\n".join(keys))
    box_id = await ada_in_a_box(ledger)
    await fetched(ledger, github.url, box_id)
    assert (await people(ledger, box_id))["ada"].keys == tuple(keys[:KEYS_MAX])


@pytest.mark.parametrize(
    ("body", "more", "failure"),
    [
        ("Not Found", {"status": 404}, "GitHub knows no user 'ada'"),
        ("", {}, "'ada' has no public keys on GitHub; add one there, then ask again"),
        ("\n\n", {}, "'ada' has no public keys on GitHub; add one there, then ask again"),
        ("<html>", {}, "'ada' has no public keys on GitHub that can be used (Ed25519, ECDSA, RSA from 2048 bits)"),
        (SHORT_RSA, {}, "'ada' has no public keys on GitHub that can be used (Ed25519, ECDSA, RSA from 2048 bits)"),
        (ED25519, {"bytes_sent": BYTES_MAX + 1}, "GitHub publishes more than 64 KiB for 'ada': these are no keys"),
        (ED25519, {"bytes_sent": 50_000_000}, "GitHub publishes more than 64 KiB for 'ada': these are no keys"),
    ],
)
async def test_why_there_are_no_keys_is_written_down(
    ledger: Ledger, github: StandIn, body: str, more: dict[str, Any], failure: str
) -> None:
    github.says("/ada.keys", body, **more)
    box_id = await ada_in_a_box(ledger)
    first = await fetched(ledger, github.url, box_id)
    again = await fetched(ledger, github.url, box_id)
    ada = (await people(ledger, box_id))["ada"]
    assert (ada.keys, ada.failure) == ((), failure)
    assert again.version == first.version


@pytest.mark.parametrize(
    "more",
    [
        {"status": 500},
        {"status": 403},
        {"status": 429},
        {"hangs_up": True},
        {"status": 302, "headers": {"location": "http://localhost:1/ada.keys"}},
        {"status": 302, "headers": {"location": "https://evil.example/ada.keys"}},
        {"status": 302, "headers": {"location": "/ada.keys"}},
        {"status": 302, "headers": {"location": "http://[::1"}},
        {"status": 302},
    ],
    ids=str,
)
async def test_while_github_is_not_well_it_is_asked_again(
    ledger: Ledger, github: StandIn, more: dict[str, Any]
) -> None:
    github.says("/ada.keys", ED25519, **more)
    box_id = await ada_in_a_box(ledger)
    for _ in range(2):
        with pytest.raises(GithubUnavailable):
            await fetched(ledger, github.url, box_id)
    ada = (await people(ledger, box_id))["ada"]
    assert (ada.keys, ada.failure) == ((), "GitHub does not answer; it is asked again")
    github.says("/ada.keys", ED25519)
    await fetched(ledger, github.url, box_id)
    ada = (await people(ledger, box_id))["ada"]
    assert (ada.keys, ada.failure) == ((ED25519,), "")


@pytest.mark.parametrize("more", [{"seconds": 60}, {"seconds_within": 60}], ids=["at once", "in the middle"])
async def test_a_slow_github_keeps_nobody_waiting_for_long(
    ledger: Ledger, github: StandIn, more: dict[str, Any]
) -> None:
    github.says("/ada.keys", ED25519, **more)
    github.says("/grace.keys", RSA)
    box_id = await ada_in_a_box(ledger)
    for name in ("grace", *(f"slow-{number}" for number in range(6))):
        await add(ledger, box_id, name)
    github.otherwise.seconds = 60
    began = time.monotonic()
    with pytest.raises(GithubUnavailable):
        await fetched(ledger, github.url, box_id, seconds=3)
    assert time.monotonic() - began < 30
    assert (await people(ledger, box_id))["ada"].failure == "GitHub does not answer; it is asked again"


async def test_one_person_without_keys_keeps_nobody_else_out(ledger: Ledger, github: StandIn) -> None:
    github.says("/ada.keys", ED25519)
    github.says("/grace.keys", status=500)
    box_id = await ada_in_a_box(ledger)
    await add(ledger, box_id, "grace")
    with pytest.raises(GithubUnavailable):
        await fetched(ledger, github.url, box_id)
    assert (await people(ledger, box_id))["ada"].keys == (ED25519,)


async def test_being_sent_on_at_the_same_place_is_fine(ledger: Ledger, github: StandIn) -> None:
    github.says("/ada.keys", status=301, headers={"location": "/people/ada.keys"})
    github.says("/people/ada.keys", ED25519)
    box_id = await ada_in_a_box(ledger)
    await fetched(ledger, github.url, box_id)
    assert (await people(ledger, box_id))["ada"].keys == (ED25519,)


async def test_keys_may_be_published_under_a_path(ledger: Ledger, github: StandIn) -> None:
    github.says("/git/ada.keys", ED25519)
    box_id = await ada_in_a_box(ledger)
    await fetched(ledger, f"{github.url}/git/", box_id)
    assert (await people(ledger, box_id))["ada"].keys == (ED25519,)


async def test_a_name_that_can_be_none_is_not_asked_for(ledger: Ledger, github: StandIn) -> None:
    box_id = await ada_in_a_box(ledger)
    async with ledger.transaction() as connection:
        await connection.execute("update box_person set name = '../admin' where gpr_id = $1", box_id)
    await fetched(ledger, github.url, box_id)
    assert "is no GitHub user name" in (await people(ledger, box_id))["../admin"].failure
    assert github.asked == []

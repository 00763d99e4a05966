"""A job's log over a WebSocket: told once to each, however many listen, from before the first pod to after the last."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from api.auth.rates import Rates
from api.operations.log_streams import READERS_PER_KEY_MAX
from domain.failures import ClusterUnavailable
from domain.gpr import Phase
from domain.identity import Role
from domain.job import JobState, ObservedJob, ObservedPod
from ledger import jobs
from tests.api.stream_kit import Served, heard, served, to_the_end
from tests.api.test_gpuctl_jobs import STARTED, a_name, made, moved, seen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from uuid import UUID

    from tests.api.api_kit import Someone, TheApi

LINE_LENGTH_MAX = 8192
BROWSER = {"headers": {"Origin": "https://console.example"}}


@pytest_asyncio.fixture(scope="module")
async def stream(api: TheApi) -> AsyncIterator[Served]:
    async with served(api) as listening:
        yield listening


@pytest_asyncio.fixture
async def owner(api: TheApi) -> Someone:
    return await api.someone()


async def a_running_job(api: TheApi, owner: Someone, *texts: str) -> tuple[str, str]:
    """Its name and its pod's, which has said this."""
    name = await made(api, owner, await api.workspace(owner))
    pod = f"{name}-0-{a_name()[-5:]}"
    await moved(api, name, Phase.ACTIVE)
    await seen(api, name, JobState.RUNNING, pod)
    api.logs.say(pod, *texts)
    return name, pod


async def ended(api: TheApi, name: str, pod: str) -> UUID:
    """The job is over, and its log kept."""
    job_id = await seen(api, name, JobState.SUCCEEDED, pod)
    async with api.ledger.transaction() as connection:
        await jobs.keep(connection, job_id, {pod: api.logs.lines.get(pod, [])}, [])
    await api.come_to_rest(job_id)
    api.logs.over.add(pod)
    return job_id


def numbered(count: int, begin: int = 0) -> list[str]:
    return [f"line {number}" for number in range(begin, begin + count)]


# --- what is told -----------------------------------------------------------------------------------------------------


async def test_the_last_lines_come_first_then_each_new_one_in_a_frame(stream: Served, owner: Someone) -> None:
    name, pod = await a_running_job(stream.api, owner, *numbered(5))
    async with stream.follow(name, owner, tail=2) as client:
        assert json.loads(await client.recv()) == {"type": "log", "data": "line 3"}
        assert await heard(client, 1) == ["line 4"]
        stream.api.logs.say(pod, 'quotes " and \u00fcmlauts', "")
        assert await heard(client, 2) == ['quotes " and \u00fcmlauts', ""]
    async with stream.follow(pod, owner, tail=0) as by_pod:
        stream.api.logs.say(pod, "new")
        assert await heard(by_pod, 1) == ["new"]


async def test_a_trailing_slash_is_the_same_path(stream: Served, owner: Someone) -> None:
    name, _ = await a_running_job(stream.api, owner, "one")
    address = f"ws://127.0.0.1:{stream.port}/api/v1/jobs/{name}/logs/ws/"
    async with connect(address, additional_headers=owner.headers) as client:
        assert await heard(client, 1) == ["one"]


async def test_a_pod_is_read_once_however_many_follow_and_one_that_comes_late_misses_nothing(
    stream: Served, owner: Someone
) -> None:
    name, pod = await a_running_job(stream.api, owner, "line 0")

    async def listen(number: int) -> list[str]:
        async with stream.follow(name, owner, tail=1000) as client:
            joined.append(number)
            return await heard(client, 300)

    joined: list[int] = []
    listening = []
    for number in range(1, 300):
        if number % 10 == 0:
            listening.append(asyncio.create_task(listen(number)))
        stream.api.logs.say(pod, f"line {number}")
        await asyncio.sleep(0.002)
    for lines in await asyncio.gather(*listening):
        assert lines == numbered(300)
    assert stream.api.logs.followed.count(pod) == 1


async def test_one_who_goes_on_from_a_line_gets_what_came_after_it(stream: Served, owner: Someone) -> None:
    name, pod = await a_running_job(stream.api, owner, *numbered(3))
    async with stream.follow(name, owner, timestamps="true") as client:
        lines = await heard(client, 3)
    stream.api.logs.say(pod, "line 3")
    at, _, text = lines[1].partition(" ")
    assert text == "line 1"
    async with stream.follow(name, owner, since=at) as again:
        assert await heard(again, 2) == ["line 2", "line 3"]


async def test_one_who_goes_on_from_before_what_is_kept_gets_it_all_and_joins_the_others(
    stream: Served, owner: Someone
) -> None:
    name, pod = await a_running_job(stream.api, owner)
    times = stream.api.logs.say(pod, *numbered(3000))
    async with stream.follow(name, owner, tail=1) as other, stream.follow(name, owner, since=times[9]) as client:
        assert await heard(client, 2990) == numbered(2990, begin=10)
        stream.api.logs.say(pod, "line 3000")
        assert await heard(client, 1) == ["line 3000"]
        assert await heard(other, 2) == numbered(2, begin=2999)
    assert stream.api.logs.followed.count(pod) == 2


async def test_lines_of_one_instant_are_each_told_once(stream: Served, owner: Someone) -> None:
    name, pod = await a_running_job(stream.api, owner)
    at = "2026-06-01T12:00:00.000000001Z"
    stream.api.logs.lines[pod] = [f"{at} line {number}" for number in range(3)]
    async with stream.follow(name, owner) as client, stream.follow(name, owner, since=at) as again:
        stream.api.logs.lines[pod] += [f"{at} line 3"]
        assert await heard(client, 4) == numbered(4)
        assert await heard(again, 3) == numbered(3, begin=1)


async def test_whoever_came_before_the_first_pod_hears_its_first_word(stream: Served, owner: Someone) -> None:
    name = await made(stream.api, owner, await stream.api.workspace(owner))
    pod = f"{name}-0-abcde"
    async with stream.follow(name, owner, tail=3) as client:
        await asyncio.sleep(0.2)
        stream.api.logs.say(pod, *numbered(200))
        await moved(stream.api, name, Phase.ACTIVE)
        await seen(stream.api, name, JobState.RUNNING, pod)
        assert await heard(client, 200) == numbered(200)


async def observed(api: TheApi, name: str, *pods: tuple[str, int]) -> None:
    """These pods, made so many minutes after the start."""
    found = tuple(
        ObservedPod(pod, "Running", created_at=STARTED.replace(minute=minute), is_ready=True) for pod, minute in pods
    )
    async with api.ledger.transaction() as connection:
        job_id = await jobs.id_of(connection, None, name)
        assert job_id is not None
        state = ObservedJob(JobState.RUNNING, ready=1, wanted=1, pods=found)
        await jobs.observe(connection, job_id, state, api.clock())


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("training", (("{}-0-aaaaa", 1), ("{}-1-aaaaa", 1)), (("{}-1-aaaaa", 1), ("{}-0-bbbbb", 2))),
        ("inference", (("{}-aaaaa", 1), ("{}-other", 1)), (("{}-other", 1), ("{}-bbbbb", 2))),
    ],
)
async def test_after_a_replaced_pod_the_one_in_its_place_is_told(
    stream: Served, owner: Someone, kind: str, before: Sequence[Any], after: Sequence[Any]
) -> None:
    name = await made(stream.api, owner, await stream.api.workspace(owner), kind=kind)
    first, second = before[0][0].format(name), after[1][0].format(name)
    await moved(stream.api, name, Phase.ACTIVE)
    await observed(stream.api, name, *[(pod.format(name), minute) for pod, minute in before])
    stream.api.logs.say(first, "one")
    async with stream.follow(name, owner) as client:
        assert await heard(client, 1) == ["one"]
        stream.api.logs.over.add(first)
        await asyncio.sleep(0.2)
        stream.api.logs.say(second, "two", "three")
        await observed(stream.api, name, *[(pod.format(name), minute) for pod, minute in after])
        assert await heard(client, 2) == ["two", "three"]


async def test_a_pod_of_the_same_name_is_gone_on_with_and_nothing_is_told_twice(stream: Served, owner: Someone) -> None:
    name = await made(stream.api, owner, await stream.api.workspace(owner), kind="notebook")
    pod = f"{name}-0"
    await moved(stream.api, name, Phase.ACTIVE)
    await observed(stream.api, name, (pod, 1))
    stream.api.logs.say(pod, "one")
    async with stream.follow(name, owner) as client:
        assert await heard(client, 1) == ["one"]
        stream.api.logs.over.add(pod)
        await asyncio.sleep(0.2)
        stream.api.logs.over.discard(pod)
        stream.api.logs.say(pod, "two")
        await observed(stream.api, name, (pod, 2))
        assert await heard(client, 1) == ["two"]


async def test_a_job_that_has_ended_tells_what_was_kept_and_closes(stream: Served, owner: Someone) -> None:
    name, pod = await a_running_job(stream.api, owner, *numbered(5))
    async with stream.follow(name, owner, tail=1) as client:
        assert await heard(client, 1) == ["line 4"]
        stream.api.logs.say(pod, "the last word")
        await ended(stream.api, name, pod)
        assert await to_the_end(client) == (["the last word"], 1000, "the job has ended")
    since = stream.api.logs.lines[pod][3].partition(" ")[0]
    for query, lines in (({"tail": 1}, ["the last word"]), ({"since": since}, ["line 4", "the last word"])):
        async with stream.follow(name, owner, **query) as late:
            assert await to_the_end(late) == (lines, 1000, "the job has ended")


async def test_the_last_word_of_a_pod_that_went_too_fast_is_told_as_it_was_kept(stream: Served, owner: Someone) -> None:
    name = await made(stream.api, owner, await stream.api.workspace(owner))
    async with stream.follow(name, owner, tail=1) as client:
        await moved(stream.api, name, Phase.ACTIVE)
        stream.api.logs.say(f"{name}-0", "one", "two")
        await ended(stream.api, name, f"{name}-0")
        assert (await to_the_end(client))[:2] == (["one", "two"], 1000)


# --- those who are slow, or gone --------------------------------------------------------------------------------------


async def test_a_slow_client_is_let_go_politely_and_holds_nobody_up(stream: Served, owner: Someone) -> None:
    name, pod = await a_running_job(stream.api, owner)
    long = "x" * 20_000
    slow_client = {"max_queue": 1, "compression": None}
    async with stream.follow(name, owner) as quick, stream.follow(name, owner, client=slow_client) as slow:
        stream.api.logs.say(pod, *[f"{number} {long}" for number in range(2500)])
        assert [line.split()[0] for line in await heard(quick, 2500)] == [str(number) for number in range(2500)]
        lines, code, reason = await to_the_end(slow)
        assert (code, "more slowly" in str(reason)) == (1013, True)
        assert 0 < len(lines) < 2500
        stream.api.logs.say(pod, "after")
        assert await heard(quick, 1) == ["after"]


async def test_a_client_that_went_without_a_word_is_let_go(api: TheApi, owner: Someone) -> None:
    name, _ = await a_running_job(api, owner, "one")
    async with served(api, ws_ping_interval=0.2, ws_ping_timeout=0.2) as stream:
        with socket.create_connection(("127.0.0.1", stream.port)) as silent:
            head = (
                f"GET /api/v1/jobs/{name}/logs/ws HTTP/1.1\r\nHost: b\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            )
            key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            silent.sendall(f"{head}{key}Authorization: Bearer {owner.key}\r\n\r\n".encode())
            await the_readers_are(api, 1)
            await the_readers_are(api, 0)


async def the_readers_are(api: TheApi, count: int) -> None:
    async with asyncio.timeout(10):
        while api.app.state.log_doors.streams.readers != count:
            await asyncio.sleep(0.02)


async def test_a_client_may_say_what_it_likes(stream: Served, owner: Someone) -> None:
    name, pod = await a_running_job(stream.api, owner, "one")
    async with stream.follow(name, owner) as client:
        await client.send("ping")
        await client.send(b"\x00")
        stream.api.logs.say(pod, "two")
        assert await heard(client, 2) == ["one", "two"]


async def test_when_the_process_stops_everybody_is_told(api: TheApi, owner: Someone) -> None:
    name, _ = await a_running_job(api, owner, "one")
    waiting = await made(api, owner, await api.workspace(owner))
    async with served(api) as own, own.follow(name, owner) as client, own.follow(waiting, owner) as other:
        assert await heard(client, 1) == ["one"]
        own.server.should_exit = True
        for one in (client, other):
            assert await to_the_end(one) == ([], 1001, "this process stops; connect again")


async def test_a_cluster_that_is_away_is_said(stream: Served, owner: Someone) -> None:
    name, _ = await a_running_job(stream.api, owner, "one")
    stream.api.logs.failure = ClusterUnavailable("the cluster is away")
    async with stream.follow(name, owner) as client:
        assert await to_the_end(client) == ([], 1013, "the cluster is away")


# --- who may ----------------------------------------------------------------------------------------------------------


async def test_a_stranger_is_turned_away_before_anything_else(stream: Served, owner: Someone) -> None:
    name, _ = await a_running_job(stream.api, owner, "one")
    for job, query in ((name, {}), ("nothing", {}), (name, {"tail": "many"}), (name, {"token": owner.key})):
        status, body = await stream.refusal(job, None, **query)
        assert (status, set(body)) == (401, {"error"})


@pytest.mark.parametrize("word", ["Basic YTpi", "Bearer", "Bearer nonsense", "Bearer a.b.c", f"Bearer {'x' * 9000}"])
async def test_what_is_no_credential_is_none_here_either(stream: Served, word: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await stream.follow("nothing", client={"headers": {"Authorization": word}})
    assert refused.value.response.status_code == (400 if len(word) > LINE_LENGTH_MAX else 401)


async def test_a_page_can_log_in_by_protocol_and_sees_why_it_is_refused(stream: Served, owner: Someone) -> None:
    name, _ = await a_running_job(stream.api, owner, "one")
    offered = {**BROWSER, "subprotocols": ["gpuctl.logs", f"bearer.{owner.key}"]}
    async with stream.follow(name, client=offered) as client:
        assert client.subprotocol == "gpuctl.logs"
        assert await heard(client, 1) == ["one"]
    wrong = {**BROWSER, "subprotocols": ["gpuctl.logs", f"bearer.berth_{'0' * 64}"]}
    for job, options, code in ((name, wrong, 4401), (name, BROWSER, 4401), ("nothing", offered, 4404)):
        async with stream.follow(job, client=options) as refused:
            lines, closed, reason = await to_the_end(refused)
            assert (lines, closed, bool(reason)) == ([], code, True)


async def test_a_login_token_opens_a_stream_as_a_key_does(stream: Served, owner: Someone) -> None:
    name, _ = await a_running_job(stream.api, owner, "one")
    answer = await stream.api.call("POST", "/api/v1/auth", json={"apiKey": owner.key})
    token = answer.json()["data"]["token"]
    async with stream.follow(name, client={"subprotocols": ["gpuctl.logs", f"bearer.{token}"]}) as client:
        assert await heard(client, 1) == ["one"]


async def test_another_tenants_job_does_not_exist_and_a_viewer_may_listen(stream: Served, owner: Someone) -> None:
    workspace = await stream.api.workspace(owner)
    name = await made(stream.api, owner, workspace)
    await moved(stream.api, name, Phase.ACTIVE)
    await seen(stream.api, name, JobState.RUNNING, f"{name}-0")
    stream.api.logs.say(f"{name}-0", "one")
    stranger, viewer = await stream.api.someone(), await stream.api.member(workspace, Role.VIEWER)
    for job in (name, f"{name}-0", "nothing"):
        status, body = await stream.refusal(job, stranger)
        assert (status, body) == (404, {"error": f"job {job!r} not found"})
    async with stream.follow(name, viewer) as client:
        assert await heard(client, 1) == ["one"]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"tail": -1}, 400),
        ({"tail": 1001}, 400),
        ({"tail": "many"}, 400),
        ({"since": "yesterday"}, 400),
        ({"since": "2026-01-01T00:00:00"}, 400),
        ({"pod": "not-mine"}, 404),
        ({"namespace": "not-mine"}, 404),
    ],
)
async def test_what_cannot_be_followed_is_refused_in_the_dialects_shape(
    stream: Served, owner: Someone, query: dict[str, Any], status: int
) -> None:
    name, _ = await a_running_job(stream.api, owner)
    told, body = await stream.refusal(name, owner, **query)
    assert (told, set(body)) == (status, {"error"})


async def test_whoever_loses_the_right_to_listen_is_told_so_and_hears_no_more(stream: Served, owner: Someone) -> None:
    name, _ = await a_running_job(stream.api, owner, "one")
    key = await stream.api.someone(principal=owner.principal)
    async with stream.follow(name, key) as client:
        assert await heard(client, 1) == ["one"]
        assert (await stream.api.call("DELETE", f"/berth/v1/keys/{key.key_id}", owner)).status_code == 200
        assert (await to_the_end(client))[1] == 4401


async def test_opening_a_stream_counts_as_a_request(api: TheApi, owner: Someone) -> None:
    name, _ = await a_running_job(api, owner, "one")
    usual = api.app.state.credentials
    api.app.state.credentials = type(usual)(usual.keys, usual.tokens, Rates("2/minute"))
    try:
        async with served(api) as stream:
            for _ in range(2):
                async with stream.follow(name, owner) as client:
                    assert await heard(client, 1) == ["one"]
            status, body = await stream.refusal(name, owner)
            assert (status, set(body)) == (429, {"error"})
    finally:
        api.app.state.credentials = usual


async def test_one_key_leaves_room_for_others(stream: Served, owner: Someone) -> None:
    name, _ = await a_running_job(stream.api, owner, "one")
    streams = stream.api.app.state.log_doors.streams
    with ExitStack() as readers:
        for _ in range(READERS_PER_KEY_MAX):
            readers.enter_context(streams.admitted(owner.key_id))
        status, body = await stream.refusal(name, owner)
        assert (status, "try again later" in body["error"]) == (503, True)
        async with stream.follow(name, await stream.api.someone(principal=owner.principal)) as client:
            assert await heard(client, 1) == ["one"]


async def test_the_metrics_say_how_many_listen(stream: Served, owner: Someone) -> None:
    name, _ = await a_running_job(stream.api, owner, "one")
    async with stream.follow(name, owner) as client:
        await heard(client, 1)
        text = (await stream.api.client.get("/metrics")).text
    assert "berth_api_log_readers 1.0" in text
    assert 'berth_api_log_streams_ended_total{code="1000"}' in text

from __future__ import annotations

import socket
from contextlib import ExitStack
from itertools import islice

import pytest

from cli.client import ApiFailure, Away, BerthClient, Invalid, NewGpr, NewKey, NotFound, Refused
from cli.client.transport import Call, Patience, Transport
from tests.builders_cli import a_gpr_document, a_key_document, a_node_document, a_workspace_document, an_event_document
from tests.cli.scripted_server import BREAK_OFF, Answer, Script, items, refusal, served

A_WISH = NewGpr(workspace="demo", name="train", duration="1h")


def _client(url: str, slept: list[float] | None = None) -> BerthClient:
    pauses = [] if slept is None else slept
    return BerthClient(url, transport=Transport(url, "a-key", sleep=pauses.append))


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def test_a_call_to_a_server_that_starts_meanwhile_gets_its_answer() -> None:
    port, script = _free_port(), Script().on("POST /berth/v1/gprs", Answer(201, a_gpr_document()))
    with ExitStack() as server:

        def start(_pause: float) -> None:
            server.enter_context(served(script, port))

        with BerthClient("", transport=Transport(f"http://127.0.0.1:{port}", "", sleep=start)) as client:
            assert client.submit(A_WISH).name == "train"


def test_a_server_that_stays_away_is_given_up_after_pauses_that_double_to_a_bound() -> None:
    slept: list[float] = []
    with _client(f"http://127.0.0.1:{_free_port()}", slept) as client, pytest.raises(Away, match="does not answer"):
        client.whoami()
    assert slept == [0.1, 0.2, 0.4, 0.8]
    assert Patience().pause_seconds(9) == 0.8


def test_a_create_whose_connection_broke_is_repeated_under_the_same_idempotency_key() -> None:
    script = Script().on("POST /berth/v1/gprs", BREAK_OFF, Answer(201, a_gpr_document()))
    with served(script) as url, _client(url) as client:
        client.submit(A_WISH)
    first, second = (each.headers["Idempotency-Key"] for each in script.asked)
    assert first == second


def test_two_creates_are_two_things_unless_the_caller_says_otherwise() -> None:
    script = Script().on("POST /berth/v1/keys", Answer(201, a_key_document(key="berth_secret")))
    with served(script) as url, _client(url) as client:
        client.create_key(NewKey(name="laptop"))
        client.create_key(NewKey(name="laptop"))
        client.create_key(NewKey(name="laptop"), idempotency_key="mine")
    keys = [each.headers["Idempotency-Key"] for each in script.asked]
    assert len(set(keys)) == 3
    assert keys[2] == "mine"


def test_a_post_that_may_have_been_acted_on_is_not_repeated() -> None:
    script = Script().on("POST /anything", BREAK_OFF)
    with served(script) as url, pytest.raises(Away, match="broke the connection off"):
        Transport(url, "", sleep=lambda _: None).send(Call("POST", "/anything"))
    assert len(script.asked) == 1


def test_a_release_is_repeated_because_the_server_promises_that_twice_is_once() -> None:
    gpr = a_gpr_document("active")
    script = Script().on(f"POST /berth/v1/gprs/{gpr['id']}/release", BREAK_OFF, gpr)
    with served(script) as url, _client(url) as client:
        client.release(gpr["id"])
    assert len(script.asked) == 2


def test_a_part_that_comes_back_within_the_patience_is_not_noticed() -> None:
    away = refusal(503, "ledger_unavailable", "The ledger (PostgreSQL) is away.")
    script = Script().on("GET /berth/v1/nodes", away, away, items(a_node_document()))
    with served(script) as url, _client(url) as client:
        assert [node.name for node in client.nodes()] == ["t4-1"]


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "unauthenticated", Refused),
        (403, "forbidden", Refused),
        (404, "not_found", NotFound),
        (409, "wrong_phase", Refused),
        (422, "invalid_request", Invalid),
        (500, "internal_error", ApiFailure),
        (502, "cluster_refused", Refused),
    ],
)
def test_a_refusal_is_raised_once_with_the_servers_code_and_words(
    status: int, code: str, kind: type[ApiFailure]
) -> None:
    script = Script().on("GET /berth/v1/whoami", refusal(status, code, "because"))
    with served(script) as url, _client(url) as client, pytest.raises(ApiFailure) as raised:
        client.whoami()
    assert type(raised.value) is kind
    assert (raised.value.code, raised.value.message, raised.value.status) == (code, "because", status)
    assert len(script.asked) == 1


def test_a_part_that_stays_away_is_told_in_the_servers_words() -> None:
    script = Script().on("GET /berth/v1/nodes", refusal(503, "ledger_unavailable", "the ledger is away"))
    with served(script) as url, _client(url) as client, pytest.raises(Away, match="the ledger is away") as raised:
        client.nodes()
    assert raised.value.code == "ledger_unavailable"


@pytest.mark.parametrize("strange", [Answer(text="<html>"), Answer(body=[1]), Answer(body={"items": 3})])
def test_an_answer_that_no_berth_server_gives_is_a_failure_not_a_crash(strange: Answer) -> None:
    with (
        served(Script().on("GET /berth/v1/nodes", strange)) as url,
        _client(url) as client,
        pytest.raises(ApiFailure, match="not what a Berth server answers"),
    ):
        client.nodes()


def test_a_proxys_error_page_counts_as_a_server_that_is_away() -> None:
    script = Script().on("GET /berth/v1/nodes", Answer(502, text="<html>bad gateway</html>"))
    with served(script) as url, _client(url) as client, pytest.raises(Away):
        client.nodes()


def test_a_server_that_takes_too_long_is_away_and_not_asked_again() -> None:
    script = Script().on("GET /berth/v1/nodes", Answer(after_seconds=0.3))
    with served(script) as url, pytest.raises(Away, match="did not answer within"):
        Transport(url, "", patience=Patience(answer_seconds_max=0.05)).send(Call("GET", "/berth/v1/nodes"))
    assert len(script.asked) == 1


def test_the_key_is_sent_as_bearer_and_nothing_where_there_is_none() -> None:
    script = Script().on("GET /berth/v1/clusters", items())
    with served(script) as url, _client(url) as client, BerthClient(url) as stranger:
        client.clusters()
        stranger.clusters()
    assert [each.headers.get("Authorization") for each in script.asked] == ["Bearer a-key", None]


def test_no_proxy_stands_between_the_client_and_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with served(Script().on("GET /berth/v1/clusters", items())) as url, _client(url) as client:
        assert client.clusters() == []


def test_only_what_was_set_is_sent_so_that_defaults_stay_the_servers() -> None:
    script = Script().on("POST /berth/v1/gprs", Answer(201, a_gpr_document()))
    with served(script) as url, _client(url) as client:
        client.submit(A_WISH)
    assert script.asked[0].body == {"workspace": "demo", "name": "train", "duration": "1h"}


def a_list_of_101() -> Script:
    full = [a_gpr_document() for _ in range(100)]
    return Script().on("GET /berth/v1/gprs", items(*full, after="17"), items(a_gpr_document()))


def test_a_page_is_fetched_only_when_it_is_needed() -> None:
    script = a_list_of_101()
    with served(script) as url, _client(url) as client:
        assert len(list(islice(client.gprs(), 5))) == 5
    assert len(script.asked) == 1


def test_pages_are_followed_to_the_end_with_the_same_question() -> None:
    script = a_list_of_101()
    with served(script) as url, _client(url) as client:
        assert len(list(client.gprs(workspace="demo"))) == 101
    assert script.asked[-1].query == {"workspace": "demo", "limit": "100", "after": "17"}


def test_a_feed_that_always_names_where_to_go_on_still_ends() -> None:
    feed = items(an_event_document("submitted", 0), after="1")
    with served(Script().on("GET /berth/v1/gprs/abc/events", feed)) as url, _client(url) as client:
        assert [event.kind for event in client.events("abc")] == ["submitted"]


def test_a_name_is_one_segment_of_a_path_whatever_it_holds() -> None:
    script = Script().on("GET /berth/v1/workspaces/a%2Fb%3Fc", a_workspace_document())
    with served(script) as url, _client(url) as client:
        assert client.workspace("a/b?c").name == "demo"


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_name_that_would_be_another_path_is_not_sent(name: str) -> None:
    script = Script()
    with served(script) as url, _client(url) as client, pytest.raises(Invalid):
        client.delete_workspace(name)
    assert script.asked == []


def test_what_a_newer_server_adds_is_kept() -> None:
    gpr = a_gpr_document(promised=True)
    with served(Script().on(f"GET /berth/v1/gprs/{gpr['id']}", gpr)) as url, _client(url) as client:
        assert client.gpr(gpr["id"]).model_dump()["promised"] is True

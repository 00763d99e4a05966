from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from tests.builders_cli import (
    a_gpr_document,
    a_key_document,
    a_lease,
    a_node_document,
    a_workspace_document,
    an_event_document,
    an_instant,
)
from tests.cli.scripted_server import BREAK_OFF, Script, items, refusal, served


def berth(script: Script, *words: str) -> Result:
    """The command against a server that plays this script."""
    with served(script) as url:
        return _run(url, *words)


def _run(url: str, *words: str) -> Result:
    environment = {"BERTH_URL": url, "BERTH_API_KEY": "a-key", "TERM": "dumb"}
    return CliRunner(env=environment).invoke(app, words, catch_exceptions=False)


def _document(result: Result) -> Any:
    return json.loads(result.stdout)


# --- exit codes -----------------------------------------------------------------------------------------------------


def test_what_was_done_ends_with_0() -> None:
    assert berth(Script().on("GET /berth/v1/nodes", items(a_node_document())), "nodes").exit_code == 0


def test_what_no_other_number_names_ends_with_1() -> None:
    result = berth(Script().on("GET /berth/v1/nodes", refusal(500, "internal_error", "request id 17")), "nodes")
    assert result.exit_code == 1
    assert result.stderr == "berth: request id 17\n"


@pytest.mark.parametrize(
    "words",
    [
        ("nodes", "--no-such-option"),
        ("gpr", "create", "train", "-w", "demo", "-d", "soon"),
        ("gpr", "create", "train", "-w", "demo", "-d", "1h", "--gpus", "0"),
        ("gpr", "change", "00000000-0000-4000-8000-000000000000"),
        ("nodes", "--url", "localhost:8000"),
        ("nodes", "--api-key", "schlüssel"),
    ],
)
def test_a_command_line_that_is_not_valid_ends_with_2_before_anything_is_asked(words: tuple[str, ...]) -> None:
    script = Script()
    assert berth(script, *words).exit_code == 2
    assert script.asked == []


def test_a_value_that_the_server_finds_invalid_ends_with_2() -> None:
    script = Script().on("POST /berth/v1/gprs", refusal(422, "invalid_request", "no node has 9 GPUs"))
    result = berth(script, "gpr", "create", "train", "-w", "demo", "-d", "1h", "--gpus", "9")
    assert (result.exit_code, result.stderr) == (2, "berth: no node has 9 GPUs\n")


def test_what_does_not_exist_ends_with_3() -> None:
    script = Script().on("GET /berth/v1/gprs", items())
    assert berth(script, "gpr", "show", "train").exit_code == 3
    assert berth(script, "workspace", "show", "nowhere").exit_code == 3


def test_a_refusal_ends_with_4_and_a_missing_key_is_told_how_to_get_one() -> None:
    script = Script().on("GET /berth/v1/nodes", refusal(401, "unauthenticated", "no valid credential was given"))
    result = berth(script, "nodes")
    assert result.exit_code == 4
    assert "no valid credential was given\nmend: give a valid key with --api-key" in result.stderr


def test_a_server_that_does_not_answer_ends_with_5_and_what_to_do() -> None:
    with served(Script()) as url:
        gone = url
    result = _run(gone, "nodes")
    assert result.exit_code == 5
    assert "does not answer" in result.stderr
    assert "mend: start it with `berth up`" in result.stderr


def test_a_watched_gpr_that_fails_ends_with_6() -> None:
    gpr = a_gpr_document("failed", failure="node h100-1 is not ready")
    result = berth(Script().on(f"GET /berth/v1/gprs/{gpr['id']}", gpr), "gpr", "watch", gpr["id"])
    assert result.exit_code == 6
    assert "node h100-1 is not ready" in result.stderr


def test_a_watched_gpr_that_does_not_get_there_in_time_ends_with_6() -> None:
    gpr = a_gpr_document("queued")
    script = Script().on(f"GET /berth/v1/gprs/{gpr['id']}", gpr)
    result = berth(script, "gpr", "watch", gpr["id"], "--until", "active", "--timeout", "1s")
    assert result.exit_code == 6
    assert result.stderr.startswith("berth: the start of train did not come within 1 s\nqueued  place 2: waits for")


def test_a_workspace_that_could_not_be_made_ends_with_6() -> None:
    script = Script().on("POST /berth/v1/workspaces", refusal(422, "workspace_not_made", "worker-2 is away"))
    result = berth(script, "workspace", "create", "team", "-c", "worker-2")
    assert (result.exit_code, result.stderr) == (6, "berth: worker-2 is away\n")


# --- gpr ------------------------------------------------------------------------------------------------------------


def test_a_gpr_is_asked_for_with_everything_that_was_said() -> None:
    script = Script().on("POST /berth/v1/gprs", a_gpr_document())
    script.on("GET /berth/v1/nodes", items(a_node_document(shape="NVIDIA-H100-80GB-HBM3")))
    words = "gpr create train -w demo -d 1h30m --gpus 8 --nodes 2 --shape H100 --memory 80 --priority 250 --no-requeue --pool p"
    words += " --preemptible --idle-timeout 30m --release-when-idle --cluster worker-2 --cluster worker-1 --idempotency-key mine"
    result = berth(script, *words.split())
    assert result.exit_code == 0
    assert script.asked[-1].headers["Idempotency-Key"] == "mine"
    assert script.asked[-1].body == {
        "workspace": "demo",
        "name": "train",
        "duration": "1h30m",
        "gpus_per_node": 8,
        "nodes": 2,
        "shape": "NVIDIA-H100-80GB-HBM3",
        "instance_type": "",
        "memory_gib": 80,
        "priority": 250,
        "clusters": ["worker-2", "worker-1"],
        "pool": "p",
        "requeue_on_failure": False,
        "preemptible": True,
        "idle_timeout": "30m",
        "release_when_idle": True,
    }


def test_a_created_gpr_is_one_json_document() -> None:
    gpr = a_gpr_document()
    result = berth(
        Script().on("POST /berth/v1/gprs", gpr), "gpr", "create", "train", "-w", "demo", "-d", "1h", "--json"
    )
    assert _document(result)["id"] == gpr["id"]


def test_a_list_for_programs_is_one_json_list() -> None:
    script = Script().on("GET /berth/v1/gprs", items(a_gpr_document("active"), a_gpr_document("queued")))
    result = berth(script, "gpr", "list", "--phase", "active", "--phase", "queued", "--json")
    assert [gpr["phase"] for gpr in _document(result)] == ["active", "queued"]
    assert script.asked[0].query["phase"] == "active,queued"


def test_a_list_for_people_has_a_line_each() -> None:
    script = Script().on("GET /berth/v1/gprs", items(a_gpr_document("queued", name="eval")))
    lines = berth(script, "gpr", "list").stdout.splitlines()
    assert [line.split()[1] for line in lines] == ["NAME", "eval"]


def test_a_list_is_no_longer_than_was_asked() -> None:
    script = Script().on("GET /berth/v1/gprs", items(*(a_gpr_document() for _ in range(9))))
    assert len(_document(berth(script, "gpr", "list", "--limit", "3", "--json"))) == 3


def test_a_gpr_is_shown_with_its_history_and_its_notices() -> None:
    gpr = a_gpr_document("active")
    notice = {"kind": "ends_soon", "due_at": an_instant(60), "message": "ends in 5 minutes"}
    script = Script().on(f"GET /berth/v1/gprs/{gpr['id']}", gpr)
    script.on(f"GET /berth/v1/gprs/{gpr['id']}/events", items(an_event_document("granted", 1)))
    script.on(f"GET /berth/v1/gprs/{gpr['id']}/notices", items(notice))
    shown = berth(script, "gpr", "show", gpr["id"]).stdout
    assert all(words in shown for words in ("h100-1[0-1] on worker-1", "granted", "ends in 5 minutes"))


def test_a_gpr_is_found_by_its_name_or_the_beginning_of_its_id() -> None:
    gpr = a_gpr_document("active", name="train")
    script = Script().on("GET /berth/v1/gprs", items(gpr, a_gpr_document("expired", name="train")))
    assert _document(berth(script, "gpr", "show", "train", "--json"))["id"] == gpr["id"]
    assert _document(berth(script, "gpr", "show", gpr["id"][:6], "--json"))["id"] == gpr["id"]


def test_a_name_that_may_mean_two_living_gprs_is_not_guessed() -> None:
    script = Script().on("GET /berth/v1/gprs", items(a_gpr_document("active"), a_gpr_document("queued")))
    result = berth(script, "gpr", "release", "train")
    assert result.exit_code == 2
    assert "may mean" in result.stderr


def test_watching_for_programs_is_one_line_for_each_change() -> None:
    gpr = a_gpr_document("active", version=4)
    ended = {**a_gpr_document("expired", version=6), "id": gpr["id"]}
    script = Script().on(f"GET /berth/v1/gprs/{gpr['id']}", gpr, gpr, gpr, ended)
    result = berth(script, "gpr", "watch", gpr["id"], "--json")
    assert [json.loads(line)["phase"] for line in result.stdout.splitlines()] == ["active", "expired"]
    assert result.exit_code == 0


def test_watching_without_a_terminal_is_one_plain_line_for_each_change() -> None:
    gpr = a_gpr_document("queued")
    active = {**a_gpr_document("active", version=3), "id": gpr["id"]}
    script = Script().on(f"GET /berth/v1/gprs/{gpr['id']}", gpr, gpr, active)
    first, second = berth(script, "gpr", "watch", gpr["id"], "--until", "active").stdout.splitlines()
    assert "waits for 2 x H100 on one node" in first
    assert "active  h100-1[0-1]" in second


def test_watching_goes_on_while_the_server_restarts() -> None:
    gpr = a_gpr_document("active")
    ended = {**a_gpr_document("expired", version=6), "id": gpr["id"]}
    script = Script().on(f"GET /berth/v1/gprs/{gpr['id']}", gpr, gpr, BREAK_OFF, BREAK_OFF, ended)
    assert berth(script, "gpr", "watch", gpr["id"]).exit_code == 0


def test_a_change_sends_only_what_was_named() -> None:
    gpr = a_gpr_document()
    script = Script().on(f"GET /berth/v1/gprs/{gpr['id']}", gpr).on(f"PATCH /berth/v1/gprs/{gpr['id']}", gpr)
    assert berth(script, "gpr", "change", gpr["id"], "--priority", "7").exit_code == 0
    assert script.asked[-1].body == {"priority": 7}


@pytest.mark.parametrize("verb", ["suspend", "resume"])
def test_a_request_is_suspended_and_resumed(verb: str) -> None:
    gpr = a_gpr_document()
    reason = {"starts_at": None, "position": 0, "reason_code": "suspended", "reason": "suspended by anna"}
    script = Script().on(f"GET /berth/v1/gprs/{gpr['id']}", gpr)
    script.on(f"POST /berth/v1/jobs/{gpr['id']}/{verb}", {**gpr, "estimate": reason})
    result = berth(script, "gpr", verb, gpr["id"])
    assert (result.exit_code, "suspended by anna" in result.stdout) == (0, True)


def test_a_release_can_be_waited_for() -> None:
    gpr = a_gpr_document("active")
    rest = [{**a_gpr_document(phase), "id": gpr["id"]} for phase in ("releasing", "released")]
    script = Script().on(f"GET /berth/v1/gprs/{gpr['id']}", gpr, *rest)
    script.on(f"POST /berth/v1/gprs/{gpr['id']}/release", rest[0])
    result = berth(script, "gpr", "release", gpr["id"], "--wait")
    assert (result.exit_code, result.stdout.split()[0]) == (0, "released")


# --- the other nouns ------------------------------------------------------------------------------------------------


def test_a_workspace_has_its_own_name_as_namespace_and_is_waited_for() -> None:
    making = a_workspace_document("team", phase="creating")
    script = Script().on("POST /berth/v1/workspaces", making)
    script.on("GET /berth/v1/workspaces/team", making, a_workspace_document("team"))
    result = berth(script, "workspace", "create", "team", "-c", "worker-1", "--json")
    assert _document(result)["phase"] == "ready"
    assert script.asked[0].body["namespaces"] == ["team"]


def test_a_deleted_workspace_is_waited_for_until_it_is_no_longer_found() -> None:
    leaving = a_workspace_document("team", phase="deleting")
    script = Script().on("DELETE /berth/v1/workspaces/team", leaving)
    script.on("GET /berth/v1/workspaces/team", leaving, refusal(404, "not_found", "gone"))
    result = berth(script, "workspace", "delete", "team")
    assert (result.exit_code, result.stdout) == (0, "team is gone\n")


def test_a_kubeconfig_goes_to_the_output_as_it_is() -> None:
    issued = {"kubeconfig": "apiVersion: v1\n", "expires_at": an_instant(3600), "clusters": ["worker-1"]}
    script = Script().on("GET /berth/v1/workspaces/demo/kubeconfig", issued)
    assert berth(script, "kubeconfig", "demo", "--cluster", "worker-1").stdout == "apiVersion: v1\n"
    assert script.asked[0].query == {"cluster": "worker-1"}


def test_a_kubeconfig_in_a_file_is_private(tmp_path: Path) -> None:
    issued = {"kubeconfig": "apiVersion: v1\n", "expires_at": an_instant(3600), "clusters": ["worker-1"]}
    script, file = Script().on("GET /berth/v1/workspaces/demo/kubeconfig", issued), tmp_path / "demo.kubeconfig"
    assert berth(script, "kubeconfig", "demo", "-o", str(file)).exit_code == 0
    assert file.read_text() == "apiVersion: v1\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_nodes_show_who_holds_them_and_what_others_hold() -> None:
    holder = {"gpr": "train", "workspace": "demo", "gpus": 2, "granted_at": an_instant(0)}
    node = a_node_document("h100-1", shape="H100", gpus=8, free_gpus=2, held_gpus=5, foreign_gpus=1, holders=[holder])
    shown = berth(Script().on("GET /berth/v1/nodes", items(node, a_node_document())), "nodes", "--shape", "h1").stdout
    assert "demo/train (2), others (3), pods outside Berth (1)" in shown
    assert "1 in all" in shown


def test_clusters_show_what_they_lack_and_since_when_they_are_away() -> None:
    cluster = {"name": "worker-1", "server": "https://w1", "version": "v1.36.3", "sufficient": False}
    seen = {"lacks": ["no admission policies"], "seen_at": an_instant(0), "away_since": an_instant(0)}
    shown = berth(Script().on("GET /berth/v1/clusters", items({**cluster, **seen})), "clusters").stdout
    assert "no admission policies" in shown
    assert "away" in shown


def test_a_new_keys_text_stands_alone_on_the_output() -> None:
    script = Script().on("POST /berth/v1/keys", a_key_document(key="berth_secret"))
    assert berth(script, "key", "create", "laptop", "--for", "ben", "--valid-for", "90d").stdout == "berth_secret\n"
    assert script.asked[0].body["principal"] == "ben"


def test_revoked_keys_are_listed_only_on_demand() -> None:
    script = Script().on("GET /berth/v1/keys", items(a_key_document(), a_key_document(revoked_at=an_instant(0))))
    assert len(_document(berth(script, "key", "list", "--json"))) == 1
    assert len(_document(berth(script, "key", "list", "--all", "--json"))) == 2


def test_a_key_is_revoked_by_how_it_begins() -> None:
    key = a_key_document()
    script = Script().on("GET /berth/v1/keys", items(key)).on(f"DELETE /berth/v1/keys/{key['id']}", key)
    assert berth(script, "key", "revoke", "berth_ab12").exit_code == 0
    assert script.calls()[-1] == f"DELETE /berth/v1/keys/{key['id']}"


def test_an_open_key_is_listed_as_valid_until_revoked() -> None:
    assert "it is revoked" in berth(Script().on("GET /berth/v1/keys", items(a_key_document())), "key", "list").stdout


def test_whoami_says_who_and_what() -> None:
    caller = {
        "principal": "ann",
        "principal_id": a_gpr_document()["id"],
        "administrator": True,
        "role": "owner",
        "key_id": a_gpr_document()["id"],
    }
    assert berth(Script().on("GET /berth/v1/whoami", caller), "whoami").stdout == "ann: administrator\n"


def test_a_reason_is_not_cut_where_nobody_reads_on_a_terminal() -> None:
    gpr = a_gpr_document("provisioning", lease=a_lease())
    shown = berth(Script().on("GET /berth/v1/gprs", items(gpr)), "gpr", "list").stdout
    assert "GPUs are granted; access is being set up" in shown


def test_a_price_is_set_in_the_installations_currency_and_from_an_instant_on() -> None:
    price = {"shape": "Tesla-T4", "starts_at": an_instant(0), "per_gpu_hour": "2.5000", "set_by": "ada"}
    script = Script().on("PUT /berth/v1/prices", {**price, "set_at": an_instant(0)})
    shown = berth(script, "price", "set", "Tesla-T4", "2.50", "--from", "2026-12-01").stdout
    assert "2.5000" in shown
    assert script.asked[0].body == {
        "shape": "Tesla-T4",
        "per_gpu_hour": "2.50",
        "starts_at": "2026-12-01T00:00:00Z",
    }


def test_a_shape_without_a_price_says_so() -> None:
    price = {"shape": "Tesla-T4", "starts_at": an_instant(0), "per_gpu_hour": None, "set_by": "ada"}
    script = Script().on("GET /berth/v1/prices", items({**price, "set_at": an_instant(0)}))
    assert "none" in berth(script, "price", "list").stdout


def test_what_is_no_amount_is_not_sent() -> None:
    script = Script()
    assert berth(script, "price", "set", "Tesla-T4", "cheap").exit_code == 2
    assert script.calls() == []


def test_a_pool_is_made_of_nodes_and_shown_with_them() -> None:
    node = {"cluster": "worker-1", "node": "h100-1"}
    pool = {"name": "gold", "description": "", "nodes": [node], "created_by": "ada", "created_at": an_instant(0)}
    script = Script().on("POST /berth/v1/pools", pool)
    assert "worker-1/h100-1" in berth(script, "pool", "create", "gold", "h100-1").stdout
    assert script.asked[0].body == {"name": "gold", "description": "", "nodes": ["h100-1"]}


def a_weight(workspace: str = "physics", weight: int = 3) -> dict[str, Any]:
    said = {"gpu_hours_used": 12.5, "set_by": "ada", "set_at": an_instant(0)}
    return {"pool": "gold", "workspace": workspace, "weight": weight, **said}


def test_a_pool_is_shown_with_what_workspaces_weigh_in_it() -> None:
    weights = [a_weight(), a_weight("vision", 1)]
    pool = {"name": "gold", "created_by": "ada", "created_at": an_instant(0), "weights": weights}
    assert "physics 3, vision 1" in berth(Script().on("GET /berth/v1/pools", items(pool)), "pool", "list").stdout


def test_weights_in_a_pool_are_listed_set_and_removed() -> None:
    script = Script().on("GET /berth/v1/pools/gold/weights", items(a_weight(), a_weight("vision", 1)))
    shown = berth(script, "pool", "weight", "gold").stdout.splitlines()
    assert shown[1].split() == ["gold", "physics", "3", "12.5", "ada"]
    only = _document(berth(script, "pool", "weight", "gold", "vision", "--json"))
    assert [(one["workspace"], one["weight"]) for one in only] == [("vision", 1)]
    assert berth(script, "pool", "weight", "gold", "speech").stdout == "no weight of its own\n"
    path = "/berth/v1/pools/gold/weights/physics"
    script = Script().on(f"PUT {path}", a_weight()).on(f"DELETE {path}", a_weight())
    assert _document(berth(script, "pool", "weight", "gold", "physics", "--set", "3", "--json"))["weight"] == 3
    assert script.asked[0].body == {"weight": 3}
    gone = berth(script, "pool", "weight", "gold", "physics", "--remove")
    assert gone.stdout == "physics weighs in the pool gold what it weighs in general\n"


@pytest.mark.parametrize(
    "words", [("--set", "3"), ("--remove",), ("physics", "--set", "3", "--remove"), ("p", "--set", "0")]
)
def test_a_weight_that_nobody_can_mean_is_not_sent(words: tuple[str, ...]) -> None:
    script = Script()
    assert berth(script, "pool", "weight", "gold", *words).exit_code == 2
    assert script.asked == []


def test_a_quota_is_given_in_the_units_of_people_and_shown_beside_its_use() -> None:
    limit, used = {"gpus": 8, "cpu_millis": 1500, "memory_mib": None}, {"gpus": 3, "cpu_millis": 0, "memory_mib": 0}
    quota = {"namespace": "vision", "workspace": "vision", "limit": limit, "used": used, "set_at": an_instant(0)}
    script = Script().on("PUT /berth/v1/quotas/vision", quota)
    shown = berth(script, "quota", "set", "vision", "--gpus", "8", "--cpus", "1.5").stdout
    assert "3/8" in shown
    assert "0/1.5" in shown
    assert "0/any" in shown
    assert script.asked[0].body["cpu_millis"] == 1500

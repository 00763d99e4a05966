"""Everything that schemathesis must let pass, each with its reason, the answer that it may be, and the test that shows it.

schemathesis loads this file for the check at its end: an excluded answer must be the very one that is excluded, so that
no other fault hides behind it.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import schemathesis

ACCEPTED: Final = ("2xx", "3xx", "401", "403", "404", "409", "429", "5xx")
"""What counts as acceptance of valid data without an exclusion: schemathesis' own list."""
REJECTED: Final = ("400", "401", "403", "404", "405", "406", "409", "415", "422", "428", "429", "5xx")
"""What counts as rejection of data that is not valid: likewise."""
NO_FAULT: Final = ("2xx", "3xx", "4xx")
"""What is no server error: likewise."""


@dataclass(frozen=True)
class Exclusion:
    """One operation may answer this. `told`: how the answer must read."""

    operation: str
    check: str
    status: int | None
    told: str
    reason: str
    shown_by: str


USUAL: Final = {
    "positive_data_acceptance": ACCEPTED,
    "negative_data_rejection": REJECTED,
    "not_a_server_error": NO_FAULT,
}
NOT_ON_CLUSTER: Final = r"is not on cluster .*; it is on: "
WHAT_IS_THERE: Final = "a schema cannot know which clusters, shapes and days there are"
BY_NAME: Final = "a workspace is addressed by its name; schemathesis guesses that its id would do"


def _a_documented_500(operation: str, told: str, shown_by: str) -> Exclusion:
    return Exclusion(operation, "not_a_server_error", 500, told, "a 500 of the document's own", shown_by)


def _a_refusal(operation: str, told: str, shown_by: str) -> Exclusion:
    return Exclusion(operation, "positive_data_acceptance", 422, told, WHAT_IS_THERE, shown_by)


def _too_large(operation: str) -> Exclusion:
    shown_by = "test_gpuctl_quotas.py::test_a_document_that_is_too_large_is_refused_as_such"
    told = r"larger than (64|256|2048) KiB"
    return Exclusion(
        operation, "negative_data_rejection", 413, told, "too large is said with a status of its own", shown_by
    )


def _no_document(operation: str, shown_by: str) -> Exclusion:
    reason = "a schema cannot say what the YAML in a text must hold"
    return Exclusion(operation, "positive_data_acceptance", 400, r'"error":', reason, shown_by)


def _no_label(operation: str) -> Exclusion:
    told = r"is no key of a label|belongs to .* and cannot be changed here"
    reason = "which keys belong to whom is more than a pattern can say"
    shown_by = "test_gpuctl_labels.py::test_labels_by_which_others_steer_cannot_be_changed"
    return Exclusion(operation, "positive_data_acceptance", 400, told, reason, shown_by)


def _by_name(operation: str) -> Exclusion:
    shown_by = "test_native.py::test_a_workspace_is_addressed_by_its_name_and_not_by_its_id"
    return Exclusion(operation, "ensure_resource_availability", None, "", BY_NAME, shown_by)


def _gone(operation: str) -> Exclusion:
    shown_by = "test_gpudev_disks.py::test_a_deleted_disk_is_hidden_and_says_so_until_it_goes_for_good"
    reason = "a deleted disk is said to be gone, and a schema cannot know which are"
    return Exclusion(operation, "positive_data_acceptance", 410, r"disk '[^']+' is deleted", reason, shown_by)


def _no_sense(operation: str, told: str, shown_by: str) -> Exclusion:
    reason = "what has the right shape and makes no sense is said with a status of its own"
    return Exclusion(operation, "positive_data_acceptance", 400, told, reason, shown_by)


_GPR_REFUSED: Final = "test_egs_gprs.py::test_what_is_not_valid_is_refused_by_name"
_KUBECONFIG: Final = (
    "test_egs_workspaces.py::test_a_kubeconfig_for_a_foreign_cluster_or_a_workspace_that_is_not_ready_is_refused"
)
_NATIVE_REFUSED: Final = "test_native.py::test_what_names_things_that_are_not_there_is_refused"
_NAMES: Final = r"is not registered; registered: |belongs to the cluster and cannot be given to a workspace"
_LESS: Final = r"is less than the [0-9]+ that are guaranteed"
_CEILINGS: Final = "test_shares.py::test_a_ceiling_below_what_is_guaranteed_is_refused"

EXCLUSIONS: Final = (
    _a_documented_500(
        "egs_delete_gpr",
        r'"message":"Cannot delete".*Cannot delete GPR in (Successful|Error) state',
        "test_egs_gprs.py::test_what_was_provisioned_cannot_be_deleted",
    ),
    _a_documented_500(
        "egs_update_gpr",
        r'"message":"Unable to Early Release".*Cannot update early release of GPR in (Queued|Complete|Error) state',
        "test_egs_gprs.py::test_what_is_not_provisioned_cannot_be_released_early",
    ),
    _a_refusal(
        "egs_create_workspace",
        _NAMES,
        "test_egs_workspaces.py::test_a_body_that_is_not_valid_is_refused_field_by_field",
    ),
    _a_refusal("egs_create_gpr", NOT_ON_CLUSTER, _GPR_REFUSED),
    _a_refusal("egs_estimate_gpr", NOT_ON_CLUSTER, _GPR_REFUSED),
    _a_refusal("egs_get_kubeconfig", NOT_ON_CLUSTER, _KUBECONFIG),
    _a_refusal("egs_post_kubeconfig", NOT_ON_CLUSTER, _KUBECONFIG),
    _a_refusal(
        "egs_create_api_key",
        r"the key would have expired before it was made|is required for the roles Editor and Viewer",
        "test_native.py::test_an_egs_key_that_makes_no_sense_is_refused",
    ),
    _a_refusal(
        "native_submit_gpr",
        NOT_ON_CLUSTER + r"|release_when_idle.. needs",
        "test_hardware.py::test_a_native_request_says_when_it_counts_as_idle",
    ),
    _a_refusal(
        "native_set_idle_rule",
        r"the window must be ",
        "test_hardware.py::test_a_rule_that_makes_no_sense_is_refused",
    ),
    _a_refusal(
        "native_report_costs",
        r"ask for a year at most|must lie before |query\.(from|to): Input should be",
        "test_hardware.py::test_a_span_that_makes_no_sense_is_refused",
    ),
    _a_refusal(
        "native_what_if",
        NOT_ON_CLUSTER,
        "test_what_if.py::test_a_question_about_clusters_that_are_not_ones_own_is_refused",
    ),
    _a_refusal(
        "native_reserve",
        rf"{NOT_ON_CLUSTER}|room is kept|starts in the future|lasts at least|has ended|of a rule|a rule |the rule "
        r"|the start is on a day|whole seconds|start: Input should be|is not a duration|is longer than the longest",
        "test_reservations.py::test_what_is_no_reservation_is_refused",
    ),
    _a_refusal(
        "native_announce_maintenance",
        r"ends after it begins|name one at least|(begin|end): Input should be|in several clusters",
        "test_maintenance.py::test_what_makes_no_sense_is_refused",
    ),
    _a_refusal(
        "native_set_quota_override",
        r"says how many GPUs|has no ceiling beside|would end at|is less than the|(begin|end): Input should be",
        "test_shares.py::test_what_is_no_override_is_refused",
    ),
    _a_refusal("native_create_department", _LESS, _CEILINGS),
    _a_refusal("native_set_department", _LESS, _CEILINGS),
    _a_refusal("native_set_workspace_quota", _LESS, _CEILINGS),
    _a_refusal(
        "native_cancel_reservation",
        r"is no time of ",
        "test_reservations.py::test_one_time_of_a_series_is_cancelled_alone",
    ),
    _a_refusal("native_create_workspace", _NAMES, _NATIVE_REFUSED),
    _a_refusal("native_get_kubeconfig", NOT_ON_CLUSTER, _NATIVE_REFUSED),
    _a_refusal("native_set_price", r"no node has the shape ", _NATIVE_REFUSED),
    _too_large("gpuctl_create_quota"),
    _too_large("gpuctl_create_job"),
    _too_large("gpuctl_create_jobs"),
    _no_label("gpuctl_find_label"),
    _no_label("gpuctl_get_node_label"),
    _no_label("gpuctl_add_node_label"),
    _no_label("gpuctl_update_node_label"),
    _no_label("gpuctl_delete_node_label"),
    _no_label("gpuctl_add_label_to_nodes"),
    _no_document("gpuctl_create_quota", "test_gpuctl_quotas.py::test_what_is_no_quota_is_refused"),
    _no_document(
        "gpuctl_create_job", "test_gpuctl_jobs.py::test_what_cannot_be_a_job_is_refused_in_the_dialects_shape"
    ),
    Exclusion(
        "gpuctl_get_logs",
        "positive_data_acceptance",
        400,
        r"follow=true is not served here",
        "clients may ask for it, and are told where a log is followed",
        "test_gpuctl_jobs.py::test_who_wants_to_follow_a_log_is_told_where",
    ),
    Exclusion(
        "gpuctl_create_jobs",
        "allow_header_conformance",
        None,
        "",
        "a job may be named batch: it is seen and ended at this path, which the document cannot say",
        "test_gpuctl_jobs.py::test_a_job_that_is_named_like_a_path_is_seen_and_ended_there",
    ),
    Exclusion(
        "gpuctl_update_pool",
        "positive_data_acceptance",
        400,
        "which gpuType does not name",
        WHAT_IS_THERE,
        "test_gpuctl_pools.py::test_what_is_no_pool_is_refused_and_makes_none",
    ),
    Exclusion(
        "gpuctl_update_pool",
        "ensure_resource_availability",
        None,
        "",
        "a node that is named in the body and not there is not found, though the pool is",
        "test_gpuctl_pools.py::test_a_pool_does_not_change_to_nodes_that_are_not_there",
    ),
    *(_gone(f"gpudev_{one}_disk") for one in ("delete", "rename", "resize", "clone")),
    _gone("gpudev_get_disk_content"),
    _gone("gpudev_submit_job"),
    _no_sense(
        "gpudev_submit_job",
        r"unknown (GPU|instance) type|cannot be had; possible counts|can only grow|is no GitHub user name|is not a UUID",
        "test_gpudev_jobs.py::test_what_makes_no_sense_is_refused_with_a_sentence_that_names_what_would",
    ),
    _no_sense("gpudev_resize_disk", "a disk can only grow", "test_gpudev_disks.py::test_a_disk_only_grows"),
    _no_sense(
        "gpudev_extend_job",
        r"a box can be extended by 48 hours in all",
        "test_gpudev_jobs.py::test_an_extension_moves_the_end_before_it_is_answered_and_has_a_bound",
    ),
    Exclusion(
        "gpudev_submit_job",
        "allow_header_conformance",
        None,
        "",
        "GET there asks for a job whose id would be submit, and is told that there is none",
        "test_gpudev_envelopes.py::test_submit_is_a_word_of_its_own_and_no_job",
    ),
    *(
        _no_sense(
            f"runai_{one}_workloads",
            r"is no instant|is no number|is for texts, and|unknown phase|terms, and 50 are the most|is longer than 500|"
            "is not field, operator, value",
            "test_runai_filters.py::test_nonsense_is_refused_and_says_what_would_do",
        )
        for one in ("list", "count")
    ),
    _no_sense(
        "runai_get_metrics",
        r"the time must end after it begins|is no instant",
        "test_runai_figures.py::test_series_that_make_no_sense_are_refused",
    ),
    _no_sense(
        "runai_get_telemetry",
        r"groupBy has [0-9]+ values, and 2 are the most",
        "test_runai_figures.py::test_counts_that_make_no_sense_are_refused",
    ),
    _no_sense(
        "runai_update_type",
        r"there is no such category, or no such priority",
        "test_runai_types.py::test_a_change_that_makes_no_sense_or_is_not_an_administrators_is_refused",
    ),
    _by_name("native_get_workspace"),
    _by_name("native_delete_workspace"),
    _by_name("native_get_kubeconfig"),
    _by_name("native_get_weight"),
    _by_name("native_set_weight"),
)


def as_settings(document: str) -> str:
    """The exclusions of a document as schemathesis' settings."""
    statuses: dict[tuple[str, str], list[int | None]] = {}
    for one in EXCLUSIONS:
        if one.operation.startswith(f"{document}_"):
            statuses.setdefault((one.operation, one.check), []).append(one.status)
    parts = []
    for (operation, check), excluded in statuses.items():
        parts += ["[[operations]]", f'include-operation-id = "{operation}"']
        if None in excluded:
            parts.append(f"checks.{check}.enabled = false")
        else:
            parts.append(f"checks.{check}.expected-statuses = {[*USUAL[check], *map(str, excluded)]}")
    return "\n".join(parts) + "\n"


@schemathesis.hook
def before_call(_: Any, case: Any, __: Any) -> None:
    """It finds the key with which it calls in the lists, and would revoke it: then everything would only be refused."""
    if case.path_parameters.get("key") == os.environ.get("BERTH_CONTRACT_KEY_ID"):
        case.path_parameters["key"] = str(UUID(int=1))


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    """It hardly ever wishes for an early release by itself; a blank wish becomes one."""
    if context.operation.definition.raw.get("operationId") != "egs_update_gpr" or not isinstance(body, dict):
        return body
    return {**body, "earlyRelease": True} if body.get("earlyRelease", 0) is None else body


@schemathesis.check
def excluded_answers_are_the_ones_that_are_excluded(_: Any, response: Any, case: Any) -> None:
    """A 500, or a 422 to what the schema allows, reads as its exclusion says."""
    operation_id = case.operation.definition.raw.get("operationId")
    for one in EXCLUSIONS:
        if (one.operation, one.status) != (operation_id, response.status_code):
            continue
        if one.status == 500 or (case.meta is not None and case.meta.generation.mode.is_positive):
            assert re.search(one.told, response.text, re.DOTALL), f"not the answer that is excluded: {response.text}"

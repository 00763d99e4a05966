"""What operators see in the Temporal UI: search attributes to filter by, and a sentence that says where things stand."""

from datetime import datetime

from temporalio import workflow
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

KIND = SearchAttributeKey.for_keyword("BerthKind")
CLUSTER = SearchAttributeKey.for_keyword("BerthCluster")
WORKSPACE = SearchAttributeKey.for_keyword("BerthWorkspace")
PHASE = SearchAttributeKey.for_keyword("BerthPhase")
PRIORITY = SearchAttributeKey.for_int("BerthPriority")

SEARCH_ATTRIBUTES = (KIND, CLUSTER, WORKSPACE, PHASE, PRIORITY)


def show(details: str, *attributes: SearchAttributePair[str] | SearchAttributePair[int]) -> None:
    """Set the workflow's current details, and those search attributes that have changed."""
    workflow.set_current_details(details)
    shown = workflow.info().typed_search_attributes
    changed = [pair for pair in attributes if shown.get(pair.key) != pair.value]
    if changed:
        workflow.upsert_search_attributes(TypedSearchAttributes(changed))


def clock(instant: datetime | None) -> str:
    """An instant as people read it."""
    return "" if instant is None else f"{instant:%Y-%m-%d %H:%M:%S} UTC"

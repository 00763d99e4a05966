"""What operators see in the Temporal UI: search attributes to filter by, and a sentence that says where things stand."""

from datetime import datetime
from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeKey, SearchAttributeUpdate

KIND = SearchAttributeKey.for_keyword("BerthKind")
CLUSTER = SearchAttributeKey.for_keyword("BerthCluster")
WORKSPACE = SearchAttributeKey.for_keyword("BerthWorkspace")
PHASE = SearchAttributeKey.for_keyword("BerthPhase")
PRIORITY = SearchAttributeKey.for_int("BerthPriority")

SEARCH_ATTRIBUTES = (KIND, CLUSTER, WORKSPACE, PHASE, PRIORITY)


def show(details: str, *attributes: SearchAttributeUpdate[Any]) -> None:
    """Set the workflow's current details, and those search attributes that have changed."""
    workflow.set_current_details(details)
    shown = workflow.info().typed_search_attributes
    changed = [attribute for attribute in attributes if shown.get(attribute.key) != attribute.value]
    if changed:
        workflow.upsert_search_attributes(changed)


def clock(instant: datetime | None) -> str:
    """An instant as people read it."""
    return "" if instant is None else f"{instant:%Y-%m-%d %H:%M:%S} UTC"

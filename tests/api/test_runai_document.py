"""What we serve differs from the document that clients were written against as the list of amendments says, and not otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from api.dialects.runai.amendments import AMENDMENTS
from api.dialects.runai.filters import OPERATORS
from api.dialects.runai.words import FIELDS, GROUPINGS, METRICS, PHASE_OF_WORD
from tests.api.runai_kit import DOCUMENT

if TYPE_CHECKING:
    from tests.api.api_kit import TheApi

Json = dict[str, Any]
PAGE = Path(__file__).parents[2] / "docs" / "runai.md"
BOUNDS = ("minimum", "maximum", "minItems", "maxItems", "minLength", "maxLength", "default", "enum")


def of_reference(document: Json, part: Json) -> Json:
    while "$ref" in part:
        found: Any = document
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        part = found
    return part


def parameters(document: Json, operation: Json) -> dict[str, Json]:
    told = {}
    for one in operation.get("parameters", ()):
        parameter = of_reference(document, one)
        schema = of_reference(document, parameter["schema"])
        choices = [of_reference(document, each) for each in schema.get("anyOf", [schema])]
        told[parameter["name"]] = {
            "required": parameter.get("required", False),
            **next(each for each in choices if each.get("type") != "null"),
            **{name: schema[name] for name in ("default", "items") if name in schema},
        }
    return told


def differences_of_parameters(served: Json) -> set[str]:
    found = set()
    for path, operations in DOCUMENT["paths"].items():
        ours, theirs = [
            parameters(*each) for each in ((served, served["paths"][path]["get"]), (DOCUMENT, operations["get"]))
        ]
        assert ours.keys() == theirs.keys(), path
        for name, said in theirs.items():
            assert ours[name]["required"] == said["required"], name
            assert ours[name]["type"] == said["type"], name
            if said["type"] == "boolean":
                assert ours[name].pop("default") is False
            if said["type"] == "integer" and name == "offset":
                assert ours[name].pop("default") == 0
            found |= {f"{name}.{bound}" for bound in BOUNDS if ours[name].get(bound) != said.get(bound)}
            words = [of_reference(DOCUMENT, each.get("items", {})).get("enum", ()) for each in (ours[name], said)]
            assert set(words[0]) == set(words[1]), name
    return found


def differences_of_statuses(served: Json) -> set[str]:
    found = set()
    for path, operations in DOCUMENT["paths"].items():
        ours, theirs = set(served["paths"][path]["get"]["responses"]), set(operations["get"]["responses"])
        found |= {f"{status} added" for status in ours - theirs}
        found |= {f"{path} {status} gone" for status in theirs - ours}
    return found


def properties(document: Json, name: str) -> set[str]:
    schema = document["components"]["schemas"][name]
    return set(schema["properties"])


def differences_of_workloads(served: Json) -> set[str]:
    ours, theirs = properties(served, "Workload"), properties(DOCUMENT, "Workload")
    assert ours <= theirs
    required = set(DOCUMENT["components"]["schemas"]["Workload"]["required"])
    assert required == set(served["components"]["schemas"]["Workload"]["required"])
    return {f"Workload.{name}" for name in theirs - ours}


async def test_every_difference_to_the_document_is_amended_and_every_amendment_is_one(api: TheApi) -> None:
    served = (await api.client.get("/openapi/runai.json")).json()
    found = differences_of_parameters(served) | differences_of_statuses(served) | differences_of_workloads(served)
    found |= {path for path in served["paths"] if path not in DOCUMENT["paths"]}
    assert found == {difference for one in AMENDMENTS for difference in one.differences}


def test_every_amendment_has_a_reason_that_people_can_read() -> None:
    page = PAGE.read_text()
    for one in AMENDMENTS:
        assert one.reason
        assert f"| {one.place} | {one.change} | {one.reason} |" in page


def test_every_word_of_the_document_is_known() -> None:
    components = DOCUMENT["components"]
    assert set(FIELDS) == set(components["parameters"]["WorkloadsSort"]["schema"]["enum"])
    assert set(PHASE_OF_WORD) == set(components["schemas"]["Phase"]["enum"])
    assert set(METRICS) == set(components["schemas"]["WorkloadMetricType"]["enum"])
    assert set(GROUPINGS) == set(components["parameters"]["TelemetryGroupBy1"]["schema"]["items"]["enum"])
    pattern = components["parameters"]["WorkloadsFilter"]["schema"]["items"]["pattern"]
    assert all(word in pattern for word in (*FIELDS, "==", "!=", "<=", ">=", "=@", "!@"))
    assert len(OPERATORS) == 8

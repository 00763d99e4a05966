"""A document arrives in three forms and is the same."""

from __future__ import annotations

import json

import pytest
import yaml

from api.dialects.gpuctl.bodies import document_body_of
from domain.failures import InvalidRequest
from tests.builders_gpuctl import a_job

REFUSED = {
    "nothing": (b" ", "the body is empty"),
    "no text": (b"\xff\xfe", "the body is not UTF-8"),
    "a list": (b"[1]", "must be a mapping of fields, not a list"),
    "broken JSON": (b'{"yamlContent": "a', "not valid YAML"),
    "no text inside": (b'{"yamlContent": {"kind": "training"}}', "yamlContent: must be a text that holds YAML"),
    "a word for dryRun": (b'{"yamlContent": "a: 1", "dryRun": "yes"}', "dryRun: must be true or false"),
    "another field": (
        b'{"yamlContent": "a: 1", "dryrun": true}',
        "dryrun: there is no such field beside 'yamlContent'",
    ),
    "an empty document inside": (b'{"yamlContent": ""}', "the document is empty"),
    "a deep body": (b'{"a":' * 5000, "nested deeper"),
}


def test_the_three_forms_are_the_same() -> None:
    job = a_job()
    wrapped = json.dumps({"yamlContent": yaml.safe_dump(job)})
    for body in (wrapped, json.dumps(job), yaml.safe_dump(job)):
        assert document_body_of(body.encode()).document.content == job


def test_a_dry_run_may_be_asked_for_beside_either_form_of_json() -> None:
    for body in ({"yamlContent": "a: 1", "dryRun": True}, {"a": 1, "dryRun": True}):
        sent = document_body_of(json.dumps(body).encode())
        assert sent.dry_run
        assert sent.document.content == {"a": 1}


def test_a_dry_run_is_not_meant_unless_said() -> None:
    assert not document_body_of(b'{"yamlContent": "a: 1", "dryRun": null}').dry_run
    assert not document_body_of(b"a: 1").dry_run


@pytest.mark.parametrize(("body", "sentence"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_document_is_refused(body: bytes, sentence: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        document_body_of(body)
    assert sentence in refused.value.message

"""Documents of the gpuctl dialect with good defaults, as text and as what was read from it."""

from __future__ import annotations

import json
from typing import Any

from api.dialects.gpuctl.job_document import JobDocument, read_job
from api.dialects.gpuctl.job_translation import JobOrder, to_domain
from api.dialects.gpuctl.yaml_documents import YamlDocument, load_yaml


def a_job(kind: str = "training", **sections: dict[str, Any]) -> dict[str, Any]:
    """The content of a job's document; a section that is given is laid over the default one."""
    content: dict[str, Any] = {
        "kind": kind,
        "version": "v0.1",
        "job": {"name": "train"},
        "environment": {"image": "pytorch:2"},
        "resources": {"gpu": 1},
    }
    for name, section in sections.items():
        content[name] = {**content.get(name, {}), **section}
    return content


def the_job(kind: str = "training", **sections: dict[str, Any]) -> JobDocument:
    return read_job(YamlDocument(a_job(kind, **sections)))


def the_order(kind: str = "training", **sections: dict[str, Any]) -> JobOrder:
    return to_domain(the_job(kind, **sections))


def as_text(content: dict[str, Any]) -> YamlDocument:
    """The content, by way of JSON, which is YAML too."""
    return load_yaml(json.dumps(content))

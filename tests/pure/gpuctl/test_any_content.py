"""Whatever stands in a document, it is taken or refused in a sentence, and nothing else happens."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.dialects.gpuctl.job_document import read_job
from api.dialects.gpuctl.job_translation import to_domain, yaml_content_of
from api.dialects.gpuctl.pool_document import read_pool, read_pool_change
from api.dialects.gpuctl.quota_document import read_quota
from api.dialects.gpuctl.yaml_documents import YamlDocument
from domain.failures import InvalidRequest

KEYS = st.sampled_from(
    [
        *("kind", "version", "job", "environment", "service", "resources", "storage", "name", "image", "env", "value"),
        *("workdirs", "path", "gpu", "cpu", "memory", "port", "pool", "nodes", "quota", "namespace", "default", ""),
    ]
)
VALUES: st.SearchStrategy[object] = st.sampled_from(
    [
        None,
        True,
        0,
        -1,
        1,
        10**17,
        0.5,
        "",
        "a",
        "training",
        "notebook",
        "pool",
        "quota",
        "8",
        "1Gi",
        "2h",
        "/a",
        "\0",
        [],
        {},
    ]
)
CONTENT = st.dictionaries(
    KEYS,
    st.recursive(
        VALUES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=8
    ),
    max_size=6,
)
READERS: list[Callable[[YamlDocument], object]] = [
    lambda document: yaml_content_of(to_domain(read_job(document))),
    read_pool,
    read_pool_change,
    read_quota,
]


@pytest.mark.parametrize("read", READERS, ids=["job", "pool", "pool change", "quota"])
@settings(max_examples=80, deadline=None)
@given(content=CONTENT, kind=st.sampled_from(["training", "notebook", "pool", "quota", None]))
def test_any_content_is_taken_or_refused(
    read: Callable[[YamlDocument], object], content: dict[str, object], kind: object
) -> None:
    with suppress(InvalidRequest):
        read(YamlDocument({**content, "kind": kind} if kind else content))

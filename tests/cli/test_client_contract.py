from __future__ import annotations

import pytest
from pydantic import BaseModel

from api.dialects.native import schemas
from cli.client import answers, requests


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (answers.Estimate, schemas.EstimateView),
        (answers.NodeGpus, schemas.NodeGpusView),
        (answers.Lease, schemas.LeaseView),
        (answers.Gpr, schemas.GprView),
        (answers.Event, schemas.EventView),
        (answers.Notice, schemas.NoticeView),
        (answers.Workspace, schemas.WorkspaceView),
        (answers.Kubeconfig, schemas.KubeconfigView),
        (answers.Holder, schemas.HolderView),
        (answers.Node, schemas.NodeView),
        (answers.Cluster, schemas.ClusterView),
        (answers.PoolNode, schemas.PoolNodeView),
        (answers.Pool, schemas.PoolView),
        (answers.Amounts, schemas.AmountsView),
        (answers.Quota, schemas.QuotaView),
        (answers.Price, schemas.PriceView),
        (answers.Key, schemas.KeyView),
        (answers.CreatedKey, schemas.KeyCreated),
        (answers.Caller, schemas.CallerView),
        (requests.NewGpr, schemas.GprSubmission),
        (requests.GprChange, schemas.GprChange),
        (requests.NewWorkspace, schemas.WorkspaceSubmission),
        (requests.NewPool, schemas.PoolSubmission),
        (requests.PoolChange, schemas.PoolChange),
        (requests.QuotaSetting, schemas.QuotaSetting),
        (requests.PriceSetting, schemas.PriceSetting),
        (requests.NewKey, schemas.KeySubmission),
    ],
)
def test_the_client_speaks_the_native_dialect_word_for_word(ours: type[BaseModel], theirs: type[BaseModel]) -> None:
    assert ours.model_fields.keys() == theirs.model_fields.keys()

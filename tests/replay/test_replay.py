"""Every recorded history, open or closed, of every version, still replays. A broken workflow must not pass."""

from __future__ import annotations

from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from worker.parts import WORKFLOWS, workflow_runner

HISTORIES = sorted((Path(__file__).parent / "histories").glob("*.json"))


def replayer(workflows: list[type]) -> Replayer:
    return Replayer(workflows=workflows, workflow_runner=workflow_runner(), data_converter=pydantic_data_converter)


def history(path: Path) -> WorkflowHistory:
    return WorkflowHistory.from_json(path.stem, path.read_text())


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
async def test_a_recorded_history_replays(path: Path) -> None:
    result = await replayer(WORKFLOWS).replay_workflow(history(path))
    assert result.replay_failure is None


def test_every_workflow_has_an_open_or_a_closed_history() -> None:
    recorded = {path.name.partition(".")[0] for path in HISTORIES}
    assert recorded == {str(workflow._Definition.must_from_class(one).name) for one in WORKFLOWS}


@pytest.mark.parametrize(
    "path", [path for path in HISTORIES if path.name.startswith("Gpr.")], ids=lambda path: path.stem
)
async def test_a_workflow_with_another_first_step_does_not_replay(path: Path) -> None:
    with pytest.raises(NondeterminismError):
        await replayer([BrokenGprWorkflow]).replay_workflow(history(path))


@workflow.defn(name="Gpr", sandboxed=False)
class BrokenGprWorkflow:
    """What somebody might deploy by mistake: it sleeps before it looks at the ledger."""

    @workflow.run
    async def run(self, gpr_id: str) -> str:
        await workflow.sleep(1)
        return gpr_id

"""schemathesis on the OpenAPI documents that we serve: the real application on a real ledger behind a real socket."""

from __future__ import annotations

import asyncio
import os
import sys
import tomllib
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn

from api.app import DIALECTS
from domain.gpr import Phase
from tests.api import runai_kit
from tests.api.api_kit import opened
from tests.api.contract_exclusions import EXCLUSIONS, as_settings
from tests.api.gpudev_kit import a_box_and_a_disk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.api.api_kit import Someone, TheApi

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
DOCUMENTS = [dialect.name for dialect in DIALECTS]
PHASES = (Phase.QUEUED, Phase.QUEUED, Phase.ACTIVE, Phase.ACTIVE, Phase.RELEASED, Phase.FAILED)
EXAMPLES, EXAMPLES_LONG = 4, 300
"""Per operation, beside those that follow from the document alone."""
LOOKED_AT_MORE, TIMES_MORE = ("egs_update_gpr", "egs_delete_gpr", "native_change_gpr"), 10
"""What is answered depends on phase and wish alike: they need more examples to be seen in all their ways."""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("document", DOCUMENTS)
async def test_what_is_served_keeps_to_its_document(database_url: str, tmp_path: Path, document: str) -> None:
    code, told = await judged(database_url, tmp_path, document, EXAMPLES)
    assert code == 0, told


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("document", DOCUMENTS)
async def test_what_is_served_keeps_to_its_document_for_long(database_url: str, tmp_path: Path, document: str) -> None:
    code, told = await judged(database_url, tmp_path, document, EXAMPLES_LONG)
    assert code == 0, told


def test_every_check_is_on_but_for_what_is_excluded() -> None:
    settings = tomllib.loads((HERE / "contract.toml").read_text())
    assert "checks" not in settings
    assert "operations" not in settings
    assert not any("checks" in phase or "enabled" in phase for phase in settings["phases"].values())


@pytest.mark.parametrize("exclusion", EXCLUSIONS, ids=lambda one: f"{one.operation} {one.check}")
def test_every_exclusion_has_a_reason_and_is_shown_by_a_test_of_its_own(exclusion: Any) -> None:
    file, _, name = exclusion.shown_by.partition("::")
    assert f"def {name}(" in (HERE / file).read_text()
    assert exclusion.reason


async def judged(database_url: str, folder: Path, document: str, examples: int) -> tuple[int, str]:
    """What schemathesis says of a document, and of the API behind it."""
    async with opened(database_url) as api, listening(api.app) as url:
        await api.register_clusters("worker-1", "worker-2")
        me = await api.someone(administrator=True)
        for name, words in (await words_of(api, me)).items():
            (folder / f"{name}.txt").write_text("".join(f'"{word}"\n' for word in words))
        (folder / "contract.toml").write_text(settings_for(document, examples))
        return await schemathesis(folder, f"{url}/openapi/{document}.json", me)


def settings_for(document: str, examples: int) -> str:
    """The kept settings with the exclusions, and as many examples."""
    kept = (HERE / "contract.toml").read_text()
    more = [
        f'[[operations]]\ninclude-operation-id = "{one}"\ngeneration.max-examples = {examples * TIMES_MORE}\n'
        for one in LOOKED_AT_MORE
        if one.startswith(f"{document}_")
    ]
    with_examples = kept.replace("[generation]\n", f"[generation]\nmax-examples = {examples}\n")
    return with_examples + as_settings(document) + "".join(more)


async def schemathesis(folder: Path, document: str, me: Someone) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "--no-color", "--config-file", str(folder / "contract.toml")),
        *("run", document),
        cwd=folder,
        env={
            **os.environ,
            "BERTH_CONTRACT_KEY": me.key,
            "BERTH_CONTRACT_KEY_ID": str(me.key_id),
            "PYTHONPATH": str(ROOT),
            "HYPOTHESIS_STORAGE_DIRECTORY": str(
                ROOT / ".hypothesis"
            ),  # its tables of characters take ten seconds to make
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, told.decode()


async def words_of(api: TheApi, me: Someone) -> dict[str, list[str]]:
    """Names and ids of what is there, Gprs in every phase among them."""
    workspaces = [await api.workspace(me) for _ in PHASES]
    gprs = [await api.gpr(me, workspace, phase) for workspace, phase in zip(workspaces, PHASES, strict=True)]
    namespaces = [await api.quota(f"{workspace}-ns", gpus=64) for workspace in workspaces]
    return {
        "workspaces": workspaces,
        "gprs": gprs,
        "clusters": ["worker-1", "worker-2"],
        "shapes": ["Tesla-T4"],
        "nodes": ["worker-1-t4-1", "worker-1-t4-2"],
        "pools": [await api.pool("worker-1-t4-1"), await api.pool()],
        "namespaces": namespaces,
        "jobs": [await api.job(me, namespace) for namespace in namespaces],
        "workloads": [await runai_kit.workload_of(api, gpr) for gpr in gprs],
        "workload-categories": [runai_kit.CATEGORY_ID],
        "workload-types": [runai_kit.TYPE_ID],
        **await words_of_boxes(api, me),
    }


async def words_of_boxes(api: TheApi, me: Someone) -> dict[str, list[str]]:
    """Ids of boxes, names of disks and ids of what was done with them."""
    found = [await a_box_and_a_disk(api, me, deleted=deleted) for deleted in (False, False, True)]
    return {
        "boxes": [one["job_id"] for one in found],
        "disks": [one["disk_name"] for one in found],
        "operations": [one["operation_id"] for one in found],
    }


class Server(uvicorn.Server):
    """Leaves signals to pytest."""

    def capture_signals(self) -> Any:
        return nullcontext()


@asynccontextmanager
async def listening(app: Any) -> AsyncIterator[str]:
    """URL of the application on a socket of its own."""
    server = Server(uvicorn.Config(app, port=0, log_config=None, access_log=False))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    await serving

"""docker-compose.yml against the compose specification's schema, and against the local stack that it describes.

No engine runs here: that the containers start is not shown by these tests.
"""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest
import yaml

from cli.stack import nodes, own, temporal, toolchain
from cli.stack.folders import DEVCLUSTER, REPOSITORY

FILE = REPOSITORY / "docker-compose.yml"
DOCKERFILE = REPOSITORY / "deploy" / "compose" / "Dockerfile"


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(FILE.read_text())["services"]
    return found


def validated(file: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", file]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def test_the_file_follows_the_compose_specification() -> None:
    answer = validated(str(FILE))
    assert answer.returncode == 0, answer.stdout


def test_the_schema_would_notice_a_mistake(tmp_path: Any) -> None:
    broken = tmp_path / "docker-compose.yml"
    broken.write_text(FILE.read_text().replace("depends_on:", "depend_on:"))
    assert validated(str(broken)).returncode == 1


def test_every_process_of_the_local_stack_has_its_service(services: dict[str, Any]) -> None:
    for name, words in own.commands(nodes.clusters()).items():
        assert services[name]["command"] == ["python", "-m", *words]
    assert {"postgres", "temporal", "migrate", "bootstrap", *nodes.clusters()} <= services.keys()


def test_temporal_has_the_settings_of_the_local_stack(services: dict[str, Any]) -> None:
    command = services["temporal"]["command"]
    for key, value in temporal.DYNAMIC_CONFIG.items():
        assert f"--dynamic-config-value={key}={value}" in command
    for key, value in temporal.SEARCH_ATTRIBUTES.items():
        assert f"--search-attribute={key}={value}" in command


def test_nothing_is_published_beyond_this_machine(services: dict[str, Any]) -> None:
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_every_dependency_and_volume_is_declared(services: dict[str, Any]) -> None:
    volumes = yaml.safe_load(FILE.read_text())["volumes"]
    for service in services.values():
        assert service.get("depends_on", {}).keys() <= services.keys()
        assert {volume.split(":")[0] for volume in service.get("volumes", [])} <= volumes.keys()


def test_the_image_builds_the_same_binaries_as_the_local_stack() -> None:
    text = DOCKERFILE.read_text()
    assert all(f"-X {name}={value}" in text for name, value in toolchain.VERSION_FLAGS.items())
    assert toolchain.SNAPSHOTS.crds_of in text


def test_the_image_has_the_sources_of_the_binaries_that_are_our_own() -> None:
    tools = re.findall(r"berth\.dev/devcluster/(\w+)", (DEVCLUSTER / "go.mod").read_text())
    assert tools
    copied = re.findall(r"^COPY deploy/devcluster/(\w+) \1$", DOCKERFILE.read_text(), re.MULTILINE)
    assert {*tools, toolchain.SNAPSHOTS.module.name} <= set(copied)

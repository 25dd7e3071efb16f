"""Each file of `deploy/`, and the workflow, is what the program that reads it takes."""

import json
import shutil
from pathlib import Path

import pytest

from tests.deploy.files import DEPLOY, checked_by, document, documents, text

KUBERNETES = DEPLOY / "kubernetes"
KUSTOMIZATIONS = sorted(KUBERNETES.rglob("kustomization.yaml"))
EXAMPLE = "secrets.example.yaml"
NOT_RESOURCES = {"kustomization.yaml", "references.yaml"}
RAYS = {"cluster.yaml", "up.yaml"}  # see test_cluster.py
MANIFESTS = [
    path for path in sorted(KUBERNETES.rglob("*.yaml")) if path.name not in NOT_RESOURCES | RAYS
]


def test_the_dockerfile_has_no_lint() -> None:
    checked_by("hadolint", "deploy/Dockerfile")


def test_compose_takes_its_file() -> None:
    schema = ("--builtin-schema", "vendor.compose-spec")
    checked_by("check-jsonschema", *schema, "deploy/compose.yaml")


def test_github_takes_the_workflow_that_builds_wheels() -> None:
    schema = ("--builtin-schema", "vendor.github-workflows")
    checked_by("check-jsonschema", *schema, ".github/workflows/wheels.yaml")


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_kubernetes_takes_its_manifests(path: Path) -> None:
    checked_by("kubernetes-validate", "--strict", str(path))


@pytest.mark.parametrize("path", KUSTOMIZATIONS, ids=lambda path: path.parent.name)
def test_kustomize_takes_every_manifest_but_the_example(path: Path) -> None:
    names = {each.name for each in path.parent.glob("*.yaml")} - NOT_RESOURCES - {EXAMPLE}
    resources = set(document(path)["resources"])
    assert {each for each in resources if each.endswith(".yaml")} == names
    assert all((path.parent / each).exists() for each in resources)
    if shutil.which("kubectl"):
        checked_by("kubectl", "kustomize", str(path.parent))


def test_prometheus_takes_its_rules_and_its_configuration() -> None:
    checked_by("promtool", "check", "rules", "deploy/prometheus/rules.yaml")
    checked_by("promtool", "check", "config", "deploy/prometheus/prometheus.yaml")


def test_grafana_is_told_where_prometheus_and_the_board_are() -> None:
    [source] = document(DEPLOY / "grafana" / "datasource.yaml")["datasources"]
    services = document(DEPLOY / "compose.yaml")["services"]
    assert source["url"].removeprefix("http://").split(":")[0] in services
    [provider] = document(DEPLOY / "grafana" / "boards.yaml")["providers"]
    mounts = services["grafana"]["volumes"]
    assert any(f":{provider['options']['path']}/board.json" in mount for mount in mounts)
    ids = [panel["id"] for panel in json.loads(text(DEPLOY / "grafana" / "board.json"))["panels"]]
    assert len(ids) == len(set(ids)) > 20


@pytest.mark.parametrize("drop_in", ["", "shards.conf"])
def test_systemd_takes_the_unit_and_finds_it_confined(drop_in: str, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd here")
    unit = text(DEPLOY / "systemd" / "conductor@.service")
    # The program's place is checked, too, and it is not installed here.
    there = unit.replace("/opt/conductor/bin/python", shutil.which("true") or "")
    if drop_in:
        there += text(DEPLOY / "systemd" / drop_in)
    path = tmp_path / "conductor@collect.service"
    path.write_text(there, encoding="utf-8")
    assert checked_by("systemd-analyze", "verify", str(path)) == ""
    most = ("--offline=true", "--threshold=14")  # tenths: as it is, so that nothing gets lost
    checked_by("systemd-analyze", "security", *most, str(path))


def test_every_file_is_read_as_what_it_is() -> None:
    for path in DEPLOY.rglob("*.yaml"):
        assert all(isinstance(each, dict) for each in documents(path)), path

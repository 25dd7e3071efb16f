"""What the files of `deploy/` say of the program, held against the program."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conductor_actors.cli import app
from conductor_actors.settings import Settings, variable_of
from tests.deploy.files import DEPLOY, document, documents, text

COMPOSE = document(DEPLOY / "compose.yaml")
OURS = [name for name, each in COMPOSE["services"].items() if each["image"] == "conductor-actors"]
VARIABLES = set(map(variable_of, Settings.model_fields))
NOT_SETTINGS = {"HEALTH_URL"}
COMMANDS = {
    command.name or command.callback.__name__
    for command in app.registered_commands
    if command.callback
}
PODS = [
    each["spec"]["template"]["spec"]
    for name in ("collector", "common/dashboard")
    for each in documents(DEPLOY / "kubernetes" / f"{name}.yaml")
    if "template" in each["spec"]
]
CONTAINERS = [each for pod in PODS for each in [*pod.get("initContainers", ()), *pod["containers"]]]
DOCKERFILE = text(DEPLOY / "Dockerfile")
UNIT = text(DEPLOY / "systemd" / "conductor@.service")


def manifests() -> Iterator[Any]:
    for path in sorted((DEPLOY / "kubernetes").rglob("*.yaml")):
        yield from documents(path)


def named(kind: str, name: str) -> Any:
    [found] = [
        each
        for each in manifests()
        if each.get("kind") == kind and each.get("metadata", {}).get("name") == name
    ]
    return found


def literals() -> set[str]:
    """Return the variables of all ConfigMaps that kustomize makes, but for Ray's own."""
    return {
        literal.partition("=")[0]
        for each in manifests()
        for generator in each.get("configMapGenerator", ())
        if generator["name"] != "ray"
        for literal in generator["literals"]
    }


def command(container: Any) -> str:
    """Return the program's command."""
    return str(container["args"][0])


def test_every_variable_that_is_set_is_one_that_the_program_knows() -> None:
    said = {name for service in OURS for name in COMPOSE["services"][service]["environment"]}
    for each in manifests():
        if each.get("kind") == "Secret" and each["metadata"]["name"] != "ray":
            said |= set(each["stringData"])
    said |= literals()
    said |= {
        name
        for line in [*DOCKERFILE.splitlines(), *UNIT.splitlines()]
        if line.startswith(("ENV ", "Environment="))
        for name in re.findall(r"\b([A-Z_]+)=", line)
    }
    assert said - VARIABLES - NOT_SETTINGS == {"PYTHONDONTWRITEBYTECODE"}
    assert len(said) > 8


def test_every_command_that_is_run_is_one_of_the_programs() -> None:
    run = {COMPOSE["services"][service]["command"][0] for service in OURS}
    run |= {command(each) for each in CONTAINERS}
    assert run == {"migrate", "collect", "dashboard"}
    assert run <= COMMANDS


def test_every_variable_that_compose_asks_for_is_in_the_example() -> None:
    asked = set(re.findall(r"\$\{(\w+)", text(DEPLOY / "compose.yaml")))
    given = set(re.findall(r"^(\w+)=$", text(DEPLOY / ".env.example"), re.MULTILINE))
    assert asked == given


def test_compose_opens_the_dashboards_port_alone_to_others() -> None:
    ports = [port for each in COMPOSE["services"].values() for port in each.get("ports", ())]
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == ["3002:3002"]


def test_each_deployment_gives_a_drain_its_20_s() -> None:
    assert all(COMPOSE["services"][each]["stop_grace_period"] == "25s" for each in OURS)
    assert [pod["terminationGracePeriodSeconds"] for pod in PODS] == [30, 30]
    assert "TimeoutStopSec=25" in UNIT


def test_images_of_others_are_named_with_their_version() -> None:
    theirs = [each["image"] for each in COMPOSE["services"].values()]
    theirs += re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    for image in theirs:
        assert image == "conductor-actors" or re.search(r":v?\d+\.\d+\.\d+", image), image


@pytest.mark.parametrize("container", CONTAINERS, ids=lambda each: str(each["name"]))
def test_each_container_is_confined_as_the_namespace_demands(container: Any) -> None:
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("pod", PODS, ids=lambda pod: str(pod["containers"][0]["name"]))
def test_each_pod_runs_as_the_images_user_without_a_token(pod: Any) -> None:
    user = pod["securityContext"]
    assert user["runAsNonRoot"]
    assert f"USER {user['runAsUser']}:{user['runAsGroup']}" in DOCKERFILE
    assert user["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False


@pytest.mark.parametrize("pod", PODS, ids=lambda pod: str(pod["containers"][0]["name"]))
def test_each_pod_is_asked_for_health_and_readiness_where_it_answers(pod: Any) -> None:
    [container] = pod["containers"]
    port = {"collect": 9464, "dashboard": 3002}[command(container)]
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    for probe, path in (("livenessProbe", "/health"), ("readinessProbe", "/ready")):
        asked = container[probe]["httpGet"]
        assert (asked["path"], ports[asked["port"]]) == (path, port)


@pytest.mark.parametrize("pod", PODS, ids=lambda pod: str(pod["containers"][0]["name"]))
def test_no_service_of_the_namespace_sets_a_variable_of_a_pod(pod: Any) -> None:
    assert pod["enableServiceLinks"] is False


def test_what_pods_refer_to_is_there() -> None:
    for container in CONTAINERS:
        for source in container["envFrom"]:
            if "secretRef" in source:
                assert named("Secret", source["secretRef"]["name"])
            else:
                assert source["configMapRef"]["name"] == "settings"


def test_budgets_services_and_the_autoscaler_select_the_pods_that_there_are() -> None:
    labels = {
        each["metadata"]["name"]: each["spec"]["template"]["metadata"]["labels"]
        for each in manifests()
        if each.get("kind") in ("StatefulSet", "Deployment")
    }
    for name, pod_labels in labels.items():
        assert named("PodDisruptionBudget", name)["spec"]["selector"]["matchLabels"] == pod_labels
        assert named("Service", name)["spec"]["selector"] == pod_labels
    target = named("HorizontalPodAutoscaler", "dashboard")["spec"]["scaleTargetRef"]
    assert named(target["kind"], target["name"])


def test_there_is_a_standby_and_a_rollout_takes_one_collector_at_a_time() -> None:
    """Its command is `collect`, whose standby is ready: each pod of a rollout must become so."""
    collector = named("StatefulSet", "collector")["spec"]
    [container] = collector["template"]["spec"]["containers"]
    assert container["args"] == ["collect"]
    assert collector.get("updateStrategy", {"type": "RollingUpdate"})["type"] == "RollingUpdate"
    assert collector["replicas"] == 2
    assert collector["podManagementPolicy"] == "Parallel"
    assert named("PodDisruptionBudget", "collector")["spec"]["maxUnavailable"] == 1


def test_the_image_starts_the_program_directly_so_that_sigterm_reaches_it() -> None:
    assert 'ENTRYPOINT ["python", "-m", "conductor_actors"]' in DOCKERFILE
    assert "STOPSIGNAL SIGTERM" in DOCKERFILE
    [health] = re.findall(r"CMD (\[.*\])", DOCKERFILE)
    assert "HEALTH_URL" in shlex.split(health)[-1]


def test_systemd_shows_the_memory_of_the_machine_to_several_hosts() -> None:
    """Ray does not start without `/proc/meminfo`, which the unit alone hides."""
    assert "ProcSubset=pid\n" in UNIT
    drop_in = text(DEPLOY / "systemd" / "shards.conf")
    assert "ProcSubset=all\n" in drop_in
    assert "KillMode=mixed\n" in drop_in  # Ray must outlive the drain


def test_systemd_restarts_a_bug_and_not_a_wrong_setting() -> None:
    assert "Restart=on-failure" in UNIT
    assert "RestartPreventExitStatus=2\n" in UNIT
    assert "RestartForceExitStatus=70\n" in UNIT


def test_the_example_of_env_says_how_to_fill_it_in(tmp_path: Path) -> None:
    """Run its commands where they can overwrite nothing."""
    (tmp_path / "deploy").mkdir()
    shutil.copy(DEPLOY / ".env.example", tmp_path / "deploy")
    lines = re.findall(r"^#   (.*)$", text(DEPLOY / ".env.example"), re.MULTILINE)
    subprocess.run(["bash", "-euc", "\n".join(lines)], cwd=tmp_path, check=True)
    made = text(tmp_path / "deploy" / ".env")
    secrets = re.findall(r"^\w+=([0-9a-f]{64})$", made, re.MULTILINE)
    assert len(set(secrets)) == len(re.findall(r"^\w+=", made, re.MULTILINE)) > 8

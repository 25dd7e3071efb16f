"""The manifests of a cluster: what KubeRay and Kubernetes take, and what operators rely on."""

import copy
import json
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from conductor_actors.settings import Settings
from tests.deploy.files import DEPLOY, ROOT, checked_by, document, documents, text
from tests.deploy.kuberay import refusals_of_cluster, refusals_of_job

FOLDER = DEPLOY / "kubernetes" / "cluster"
CLUSTER = document(FOLDER / "cluster.yaml")
JOB = document(FOLDER / "up.yaml")
HEAD = CLUSTER["spec"]["headGroupSpec"]
[WORKERS] = CLUSTER["spec"]["workerGroupSpecs"]
GROUPS = pytest.mark.parametrize("group", [HEAD, WORKERS], ids=["head", "workers"])
DRAIN_S = 20
MOVES_AT_A_TIME = 2
LONGEST_MOVE_S = 3

Change = Callable[[Any], None]


def containers() -> Iterator[Any]:
    """Return every container but the autoscaler's, of which the operator knows the rest."""
    for group in (HEAD, WORKERS):
        pod = group["template"]["spec"]
        yield from [*pod.get("initContainers", ()), *pod["containers"]]


def policy(name: str) -> Any:
    [found] = [
        each for each in documents(FOLDER / "network.yaml") if each["metadata"]["name"] == name
    ]
    return found["spec"]


def literals(name: str) -> dict[str, str]:
    """Return the variables of a ConfigMap that kustomize makes."""
    [generator] = [
        each
        for each in document(FOLDER / "kustomization.yaml")["configMapGenerator"]
        if each["name"] == name
    ]
    return dict(literal.split("=", 1) for literal in generator["literals"])


def test_kuberay_takes_the_cluster_and_the_job() -> None:
    assert refusals_of_cluster(CLUSTER) == []
    assert refusals_of_job(JOB) == []


REFUSED_CLUSTERS: list[tuple[str, Change]] = [
    ("name", lambda each: each["metadata"].update(name="Conductor")),
    ("annotation", lambda each: each["metadata"].update(annotations={"ray.io/ft-enabled": "1"})),
    ("tokens", lambda each: each["spec"].update(rayVersion="2.51.0")),
    ("idle", lambda each: each["spec"]["autoscalerOptions"].update(idleTimeoutSeconds=-1)),
    ("replicas", lambda each: each["spec"]["workerGroupSpecs"][0].update(minReplicas=9)),
    (
        "restartPolicy",
        lambda each: each["spec"]["headGroupSpec"]["template"]["spec"].update(
            restartPolicy="Always"
        ),
    ),
    (
        "redis-password",
        lambda each: each["spec"]["headGroupSpec"]["rayStartParams"].update(
            {"redis-password": "x"}
        ),
    ),
    (
        "operator sets",
        lambda each: each["spec"]["headGroupSpec"]["template"]["spec"]["containers"][0][
            "env"
        ].append({"name": "REDIS_PASSWORD", "value": "x"}),
    ),
]
REFUSED_JOBS: list[tuple[str, Change]] = [
    ("name of a cluster", lambda each: each["spec"].update(clusterSelector={"app": "x"})),
    ("retry", lambda each: each["spec"].update(backoffLimit=2)),
    ("sidecar", lambda each: each["spec"].update(submissionMode="SidecarMode")),
    ("activeDeadline", lambda each: each["spec"].update(activeDeadlineSeconds=0)),
]


@pytest.mark.parametrize(("reason", "change"), REFUSED_CLUSTERS)
def test_what_the_operator_refuses_of_a_cluster_is_found(reason: str, change: Change) -> None:
    changed = copy.deepcopy(CLUSTER)
    change(changed)
    [refusal] = refusals_of_cluster(changed)
    assert reason in refusal


@pytest.mark.parametrize(("reason", "change"), REFUSED_JOBS)
def test_what_the_operator_refuses_of_a_job_is_found(reason: str, change: Change) -> None:
    changed = copy.deepcopy(JOB)
    change(changed)
    [refusal] = refusals_of_job(changed)
    assert reason in refusal


@pytest.mark.parametrize(
    ("manifest", "definition"),
    [(CLUSTER, "ray.io_rayclusters.yaml"), (JOB, "ray.io_rayjobs.yaml")],
    ids=["cluster", "job"],
)
def test_kuberays_own_definitions_have_every_field(manifest: Any, definition: str) -> None:
    """`CONDUCTOR_TEST_KUBERAY_CRDS` is the folder `config/crd/bases` of its operator."""
    if "CONDUCTOR_TEST_KUBERAY_CRDS" not in os.environ:
        pytest.skip("needs CONDUCTOR_TEST_KUBERAY_CRDS")
    jsonschema = pytest.importorskip("jsonschema")
    path = Path(os.environ["CONDUCTOR_TEST_KUBERAY_CRDS"]) / definition
    versions = yaml.load(path.read_text(), yaml.CSafeLoader)["spec"]["versions"]
    [schema] = [each["schema"]["openAPIV3Schema"] for each in versions if each["name"] == "v1"]
    refuse_unknown_fields(schema)
    jsonschema.validate(manifest, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**manifest, "spec": {**manifest["spec"], "misspelt": 1}}, schema)


def refuse_unknown_fields(schema: Any) -> None:
    """Have a schema refuse what the server drops; `metadata` is the server's own."""
    if isinstance(schema, dict):
        if "properties" in schema and isinstance(schema["properties"], dict):
            schema.setdefault("additionalProperties", False)
        for value in schema.values():
            refuse_unknown_fields(value)
        if schema.get("x-kubernetes-int-or-string"):
            schema.pop("type", None)
    elif isinstance(schema, list):
        for each in schema:
            refuse_unknown_fields(each)


@GROUPS
def test_kubernetes_takes_the_pods_of_each_group(group: Any, tmp_path: Path) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "PodTemplate",
        "metadata": {"name": "group"},
        "template": group["template"],
    }
    path = tmp_path / "pod.yaml"
    path.write_text(json.dumps(pod), encoding="utf-8")
    checked_by("kubernetes-validate", "--strict", str(path))


def test_kustomize_gives_the_nodes_their_settings_and_the_image_with_ray() -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("no kubectl here")
    built = subprocess.run(
        ["kubectl", "kustomize", str(FOLDER)], capture_output=True, text=True, check=True
    ).stdout
    resources = {
        (each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(built)
    }
    assert ("StatefulSet", "collector") not in resources
    assert ("Deployment", "dashboard") in resources
    maps = {name for kind, name in resources if kind == "ConfigMap"}
    spec = resources["RayCluster", "conductor"]["spec"]
    for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
        [container] = group["template"]["spec"]["containers"]
        named = {each["configMapRef"]["name"] for each in container["envFrom"][:2]}
        assert named == maps
        assert container["image"].endswith("-cluster")
    [settings] = [each for (_, name), each in resources.items() if name.startswith("settings-")]
    assert {"CONDUCTOR_TENANTS", "CONDUCTOR_PARTITIONS"} <= settings["data"].keys()


def test_the_job_starts_the_cluster_that_there_is_and_every_node_leaves_it() -> None:
    assert JOB["spec"]["clusterSelector"] == {"ray.io/cluster": CLUSTER["metadata"]["name"]}
    assert JOB["spec"]["entrypoint"] == "python -m conductor_actors cluster up"
    [worker] = WORKERS["template"]["spec"]["containers"]
    leave = worker["lifecycle"]["preStop"]["exec"]["command"]
    assert leave == ["python", "-m", "conductor_actors", "cluster", "leave"]


def test_a_node_has_time_to_leave_before_it_is_killed() -> None:
    moves = int(literals("settings")["CONDUCTOR_PARTITIONS"])
    longest = moves / MOVES_AT_A_TIME * LONGEST_MOVE_S + DRAIN_S
    assert WORKERS["template"]["spec"]["terminationGracePeriodSeconds"] >= longest


def test_hosts_are_as_many_as_the_cpus_of_the_nodes() -> None:
    [worker] = WORKERS["template"]["spec"]["containers"]
    cpus = int(worker["resources"]["limits"]["cpu"])
    settings = {name: int(value) for name, value in literals("settings").items()}
    assert settings["CONDUCTOR_MIN_HOSTS"] == cpus * WORKERS["minReplicas"]
    assert settings["CONDUCTOR_MAX_HOSTS"] == cpus * WORKERS["maxReplicas"]
    assert WORKERS["minReplicas"] >= 2
    assert Settings.model_fields["hosts_per_node"].default == 0  # one a CPU
    assert HEAD["rayStartParams"]["num-cpus"] == "0"


def test_a_dead_node_is_found_within_four_seconds() -> None:
    ray = literals("ray")
    ms = {name: int(ray[f"RAY_health_check_{name}_ms"]) for name in ("period", "timeout")}
    failures = int(ray["RAY_health_check_failure_threshold"])
    assert failures * ms["period"] + ms["timeout"] <= 4_000


def test_ray_is_of_a_version_that_the_extra_installs() -> None:
    extras = tomllib.loads(text(ROOT / "pyproject.toml"))["project"]["optional-dependencies"]
    [ray] = [Requirement(each) for each in extras["cluster"] if each.startswith("ray")]
    assert CLUSTER["spec"]["rayVersion"] in ray.specifier


@pytest.mark.parametrize(
    "container",
    [*containers(), CLUSTER["spec"]["autoscalerOptions"]],
    ids=lambda each: str(each.get("name", "autoscaler")),
)
def test_each_container_of_a_node_is_confined_as_the_namespace_demands(container: Any) -> None:
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert "memory" in container["resources"]["limits"]


@GROUPS
def test_the_nodes_run_as_the_images_user_without_a_right_to_the_api(group: Any) -> None:
    pod = group["template"]["spec"]
    user = pod["securityContext"]
    assert user["runAsNonRoot"]
    assert f"USER {user['runAsUser']}:{user['runAsGroup']}" in text(DEPLOY / "Dockerfile")
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert all(each["name"] != "api" for each in pod["containers"][0]["volumeMounts"])


def test_nodes_ask_for_a_token_and_secrets_are_in_the_example() -> None:
    assert CLUSTER["spec"]["authOptions"] == {"mode": "token"}
    secrets = {
        each["metadata"]["name"]: each["stringData"].keys()
        for each in documents(DEPLOY / "kubernetes" / "secrets.example.yaml")
    }
    state = CLUSTER["spec"]["gcsFaultToleranceOptions"]
    for credential in (state["redisUsername"], state["redisPassword"]):
        reference = credential["valueFrom"]["secretKeyRef"]
        assert reference["key"] in secrets[reference["name"]]
    for container in containers():
        for source in container["envFrom"]:
            assert source.get("secretRef", {}).get("name") in {None, *secrets}


@GROUPS
def test_ray_uses_the_ports_that_nodes_may_reach_and_no_others(group: Any) -> None:
    [rule] = policy("nodes")["ingress"]
    ranges = [(each["port"], each.get("endPort", each["port"])) for each in rule["ports"]]
    parameters = group["rayStartParams"]
    ports = {int(value) for name, value in parameters.items() if re.search(r"-port$", name)}
    workers = int(parameters["min-worker-port"]), int(parameters["max-worker-port"])
    assert {6380, 6381, 6382, 6383, 52365, *workers} == ports
    assert sorted(ranges) == [(6379, 6383), workers, (52365, 52365)]
    assert policy("nodes")["egress"][0]["ports"] == rule["ports"]


def test_network_policies_select_the_pods_that_there_are() -> None:
    component = "app.kubernetes.io/component"
    labels = {group["template"]["metadata"]["labels"][component] for group in (HEAD, WORKERS)}
    [expression] = policy("nodes")["podSelector"]["matchExpressions"]
    assert set(expression["values"]) == labels == {"head", "host"}
    selections = {
        "operator": "head",
        "autoscaler": "head",
        "host-metrics": "host",
        "host-webhooks": "host",
    }
    for name, selected in selections.items():
        assert policy(name)["podSelector"]["matchLabels"] == {component: selected}
    dashboard = {"name": "dashboard", "containerPort": 8265}
    assert dashboard in HEAD["template"]["spec"]["containers"][0]["ports"]
    assert policy("operator")["ingress"][0]["ports"] == [{"port": "dashboard"}]


def test_not_all_hosts_are_evicted_at_once() -> None:
    budget = document(FOLDER / "disruption.yaml")["spec"]
    labels = WORKERS["template"]["metadata"]["labels"]
    assert budget["selector"]["matchLabels"].items() <= labels.items()
    assert 1 <= budget["minAvailable"] < WORKERS["minReplicas"]


def test_prometheus_may_reach_the_metrics_of_every_process_of_a_node() -> None:
    [worker] = WORKERS["template"]["spec"]["containers"]
    ports = [each["containerPort"] for each in worker["ports"]]
    first: int = Settings.model_fields["metrics_port"].default
    hosts, splitter = int(worker["resources"]["limits"]["cpu"]), 1
    assert ports == [*range(first, first + hosts + splitter)]
    [rule] = policy("host-metrics")["ingress"]
    assert rule["ports"] == [{"port": ports[0], "endPort": ports[-1]}]

"""What KubeRay's API has of the fields that we use, and what its operator refuses of them.

Names and types are those of version 1.7. Its own definitions have a megabyte each, so they are not
kept here: `test_cluster.py` compares the two where they are at hand. The rules are those that the
operator checks before it does anything.
"""

import re
from collections.abc import Iterator
from typing import Any, Literal

from msgspec import Struct, convert

HIGHEST_CLUSTER_NAME = 53
HIGHEST_JOB_NAME = 47
MANAGED = {"REDIS_PASSWORD", "REDIS_USERNAME", "RAY_REDIS_ADDRESS", "RAY_enable_autoscaler_v2"}
FIRST_WITH_TOKENS = (2, 52)


class Fields(Struct, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """A part of a resource; the server refuses fields that it does not know."""


class Metadata(Fields):
    name: str
    annotations: dict[str, str] = {}


class Credential(Fields):
    value_from: dict[str, Any]


class FaultTolerance(Fields):
    redis_address: str
    redis_username: Credential
    redis_password: Credential


class Autoscaler(Fields):
    version: Literal["v1", "v2"]
    security_context: dict[str, Any]
    resources: dict[str, Any]
    volume_mounts: list[dict[str, Any]]
    idle_timeout_seconds: int = 60


class Auth(Fields):
    mode: Literal["disabled", "token"]


class Upgrade(Fields):
    type: Literal["Recreate", "None"]


class Head(Fields):
    ray_start_params: dict[str, str]
    template: dict[str, Any]


class Workers(Fields):
    group_name: str
    replicas: int
    min_replicas: int
    max_replicas: int
    ray_start_params: dict[str, str]
    template: dict[str, Any]


class ClusterSpec(Fields):
    ray_version: str
    upgrade_strategy: Upgrade
    auth_options: Auth
    gcs_fault_tolerance_options: FaultTolerance
    enable_in_tree_autoscaling: bool
    autoscaler_options: Autoscaler
    head_group_spec: Head
    worker_group_specs: list[Workers]


class RayCluster(Fields):
    api_version: Literal["ray.io/v1"]
    kind: Literal["RayCluster"]
    metadata: Metadata
    spec: ClusterSpec


class JobSpec(Fields):
    cluster_selector: dict[str, str]
    submission_mode: Literal["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"]
    entrypoint: str
    backoff_limit: int = 0
    active_deadline_seconds: int | None = None


class RayJob(Fields):
    api_version: Literal["ray.io/v1"]
    kind: Literal["RayJob"]
    metadata: Metadata
    spec: JobSpec


def refusals_of_cluster(resource: Any) -> list[str]:
    """Return why the operator refuses a RayCluster; raise if the server does."""
    cluster = convert(resource, RayCluster)
    spec = cluster.spec
    groups: list[Head | Workers] = [spec.head_group_spec, *spec.worker_group_specs]
    refusals = [*_refusals_of_name(cluster.metadata.name, HIGHEST_CLUSTER_NAME)]
    refusals += [f"annotation {name}" for name in cluster.metadata.annotations if "ray.io/" in name]
    for group in groups:
        refusals += _refusals_of_group(group)
    for workers in spec.worker_group_specs:
        if not 0 <= workers.min_replicas <= workers.max_replicas:
            refusals.append(f"replicas of {workers.group_name}")
    if tuple(map(int, spec.ray_version.split(".")[:2])) < FIRST_WITH_TOKENS:
        refusals.append("tokens need a newer Ray")
    if spec.autoscaler_options.idle_timeout_seconds < 0:
        refusals.append("idleTimeoutSeconds")
    return refusals


def refusals_of_job(resource: Any) -> list[str]:
    """Return why the operator refuses a RayJob that selects a cluster; raise if the server does."""
    job = convert(resource, RayJob)
    refusals = [*_refusals_of_name(job.metadata.name, HIGHEST_JOB_NAME)]
    if not job.spec.cluster_selector.get("ray.io/cluster"):
        refusals.append("no name of a cluster")
    if job.spec.submission_mode == "SidecarMode":
        refusals.append("a sidecar needs a cluster of its own")
    if job.spec.backoff_limit:
        refusals.append("each retry needs a new cluster")
    if job.spec.active_deadline_seconds is not None and job.spec.active_deadline_seconds <= 0:
        refusals.append("activeDeadlineSeconds")
    return refusals


def _refusals_of_name(name: str, highest: int) -> Iterator[str]:
    if len(name) > highest or not re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name):
        yield f"name {name}"


def _refusals_of_group(group: Head | Workers) -> Iterator[str]:
    pod = group.template["spec"]
    if not pod["containers"]:
        yield "a group without a container"
        return
    if pod.get("restartPolicy", "Never") != "Never":
        yield "restartPolicy beside the autoscaler's version 2"
    if managed := MANAGED & {each["name"] for each in pod["containers"][0].get("env", ())}:
        yield f"variables that the operator sets: {managed}"
    for name in ("redis-password", "redis-username", "labels"):
        if name in group.ray_start_params:
            yield f"{name} in rayStartParams"

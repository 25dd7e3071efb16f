"""Nodes that Ray's autoscaler starts and ends; it imports this module in a process of the head."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from threading import Lock
from typing import Any, Final

from ray.autoscaler.node_provider import NodeProvider
from ray.autoscaler.tags import (
    NODE_KIND_HEAD,
    TAG_RAY_NODE_KIND,
    TAG_RAY_NODE_STATUS,
    TAG_RAY_USER_NODE_TYPE,
)

from tests.cluster.nodes.ray_nodes import RayNode, head_node, worker_node

HEAD: Final = "head"
HOST_NODE: Final = "host-node"
_REQUIRED: Final = (  # keys that have no default, and mean nothing for nodes without SSH
    *("setup_commands", "head_setup_commands", "worker_setup_commands"),
    "cluster_synced_files",
)
IDLE_S: Final = 3  # before a node without actors ends


def autoscaling_head(folder: Path, gcs_storage: str, max_nodes: int) -> RayNode:
    """Describe a head whose autoscaler (version 2) starts nodes as they are requested."""
    config = folder / "autoscaling.json"
    config.write_text(json.dumps(_config(folder, max_nodes)))
    head = head_node(folder, gcs_storage)
    head.options = *head.options, f"--autoscaling-config={config}"
    head.environment |= _identity(HEAD, HEAD) | {
        "RAY_enable_autoscaler_v2": "1",
        "AUTOSCALER_UPDATE_INTERVAL_S": "1",
    }
    return head


class AutoscaledNodes(NodeProvider):
    """Starts nodes of the testbed, numbered from 2."""

    def __init__(self, provider_config: dict[str, Any], cluster_name: str) -> None:
        super().__init__(provider_config, cluster_name)
        self._folder = Path(provider_config["folder"])
        self._lock = Lock()
        self._nodes: dict[str, RayNode] = {}
        head = {TAG_RAY_NODE_KIND: NODE_KIND_HEAD, TAG_RAY_USER_NODE_TYPE: HEAD}
        self._tags: dict[str, dict[str, str]] = {HEAD: head | {TAG_RAY_NODE_STATUS: "up-to-date"}}

    def non_terminated_nodes(self, tag_filters: Mapping[str, str]) -> list[str]:
        with self._lock:
            return [
                name for name, tags in self._tags.items() if tag_filters.items() <= tags.items()
            ]

    def is_running(self, node_id: str) -> bool:
        return node_id in self._tags

    def is_terminated(self, node_id: str) -> bool:
        return node_id not in self._tags

    def node_tags(self, node_id: str) -> dict[str, str]:
        return self._tags[node_id]

    def set_node_tags(self, node_id: str, tags: Mapping[str, str]) -> None:
        self._tags[node_id] |= tags

    def internal_ip(self, node_id: str) -> str:
        return self._nodes[node_id].address

    external_ip = internal_ip

    def create_node_with_resources_and_labels(
        self,
        node_config: object,
        tags: Mapping[str, str],
        count: int,
        resources: object,
        labels: object,
    ) -> None:
        """Start nodes; each joins the cluster by itself."""
        del node_config, resources, labels
        for _ in range(count):
            with self._lock:
                number = next(n for n in range(2, 100) if f"node-{n}" not in self._tags)
                name = f"node-{number}"
                node = worker_node(self._folder, number, cpus=1)
                node.environment |= _identity(name, HOST_NODE)
                self._nodes[name], self._tags[name] = node, dict(tags)
                node.start()

    def terminate_node(self, node_id: str) -> None:
        with self._lock:
            self._tags.pop(node_id, None)
            self._nodes.pop(node_id).kill()

    def terminate_nodes(self, node_ids: Iterable[str]) -> None:
        for node_id in node_ids:
            self.terminate_node(node_id)


def _identity(name: str, kind: str) -> dict[str, str]:
    return {"RAY_CLOUD_INSTANCE_ID": name, "RAY_NODE_TYPE_NAME": kind}


def _config(folder: Path, max_nodes: int) -> dict[str, Any]:
    return {
        "cluster_name": "tests",
        "max_workers": max_nodes,
        "idle_timeout_minutes": IDLE_S / 60,
        "provider": {
            "type": "external",
            "module": f"{__name__}.{AutoscaledNodes.__name__}",
            "folder": str(folder),
            "disable_node_updaters": True,
        },
        **{key: [] for key in _REQUIRED},
        "head_node_type": HEAD,
        "available_node_types": {
            HEAD: {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
            HOST_NODE: {
                "resources": {"CPU": 1},
                "node_config": {},
                "min_workers": 0,
                "max_workers": max_nodes,
            },
        },
    }

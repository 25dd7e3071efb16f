"""Settings of Ray itself, which it reads from the environment when it starts on a node."""

import os
import secrets
from collections.abc import Mapping
from typing import Final

# A node that has died or is frozen is known after about 4 s: three checks a second apart that fail.
HEALTH_CHECKS: Final[Mapping[str, str]] = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
}
OBJECT_STORE_BYTES: Final = 80 * 1024 * 1024  # the least is 75 MB; no object is stored there

_ALONE: Final[Mapping[str, str]] = {
    **HEALTH_CHECKS,
    "RAY_AUTH_MODE": "token",
    # Addresses are 127.0.0.1, as Ray would have it where it supports one machine alone. Otherwise
    # it replaces 127.0.0.1 by the address of the machine, and listens on every address.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_enable_metrics_collection": "0",
    "RAY_memory_monitor_refresh_ms": "0",  # it would kill hosts
    "RAY_DISABLE_IMPORT_WARNING": "1",
    # What belongs to this program ends with it.
    "RAY_enable_pipe_based_agent_to_parent_health_check": "1",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "5",
}


def configure_ray_alone() -> None:
    """Prepare the environment for a Ray of this process, before Ray is imported.

    Its token is new, so no other process can use it.
    """
    os.environ.pop("RAY_ADDRESS", None)
    os.environ.update(_ALONE)
    os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)

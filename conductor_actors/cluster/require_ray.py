"""Ray, or one line that says how to install it."""

from importlib.util import find_spec
from typing import Any

from conductor_actors.errors import ConfigError


def check_ray() -> None:
    """Raise `ConfigError` if Ray is not installed; do not import it, for it reads its settings."""
    found = find_spec("ray")
    if found is None or found.origin is None:  # a folder of that name, where this was started
        raise ConfigError("needs Ray: pip install 'conductor-actors[cluster]'")


def require_ray() -> Any:  # noqa: ANN401 - Ray may be missing, so its types are
    """Return the module `ray`; raise `ConfigError` if it is not installed."""
    check_ray()
    import ray  # noqa: PLC0415 - most installations do without it

    return ray

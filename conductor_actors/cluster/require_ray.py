"""Ray, or one line that says how to install it."""

from typing import Any

from conductor_actors.errors import ConfigError


def require_ray() -> Any:  # noqa: ANN401 - Ray may be missing, so its types are
    """Return the module `ray`; raise `ConfigError` if it is not installed."""
    try:
        import ray  # noqa: PLC0415 - most installations do without it
    except ImportError:
        raise ConfigError("needs Ray: pip install 'conductor-actors[cluster]'") from None
    return ray

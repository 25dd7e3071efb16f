"""The default of the state directory."""

from pathlib import Path

import platformdirs


def default_state_dir() -> Path:
    """Return the user's directory for state; it begins with `~` if there is no home directory."""
    try:
        return platformdirs.user_state_path("conductor_actors")
    except RuntimeError:
        return Path("~/.local/state/conductor_actors")

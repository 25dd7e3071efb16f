"""The type and the default of the state directory."""

from pathlib import Path
from typing import Annotated, TypeAlias

import platformdirs
from pydantic import AfterValidator


def default_state_dir() -> Path:
    """Return the user's directory for state; it begins with `~` if there is no home directory."""
    try:
        return platformdirs.user_state_path("conductor_actors")
    except RuntimeError:
        return Path("~/.local/state/conductor_actors")


def _expand_home(state_dir: Path) -> Path:
    try:
        return state_dir.expanduser()
    except RuntimeError as error:
        raise ValueError(str(error)) from None


StateDir: TypeAlias = Annotated[Path, AfterValidator(_expand_home)]

"""Load the settings from the environment and `.env`, and find variables that are misspelt."""

import os
import re
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from conductor_actors.errors import ConfigError
from conductor_actors.settings import ENV_FILE, ENV_PREFIX, Settings, variable_of
from conductor_actors.settings.texts import default_text

MIN_SIMILARITY: Final = 0.6  # of a misspelt variable and the one that is meant

_ASSIGNMENT: Final = re.compile(r"^\s*(?:export\s+)?(\w+)\s*=", re.MULTILINE)
# Kubernetes sets these for each Service of a namespace, also for one named `conductor-…`.
_SERVICE_LINK: Final = re.compile(r".*_SERVICE_(HOST|PORT)(_.*)?|.*_PORT_\d+_(TCP|UDP|SCTP)(_.*)?")
_SERVICE_ADDRESS: Final = re.compile(r"(tcp|udp|sctp)://\S+:\d+")


class UnknownVariable(NamedTuple):
    """A variable that is no setting, and the most similar one, if any."""

    name: str
    nearest: str | None


def load_settings() -> Settings:
    """Read the settings; raise `ConfigError` naming the variable, what is wrong, and an example."""
    try:
        return Settings()
    except ValidationError as error:
        raise ConfigError(_error_line(error.errors(include_url=False)[0])) from None
    except OSError as error:
        raise ConfigError(f"{ENV_FILE}: {error.strerror}; make it readable, or move it") from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{ENV_FILE}: byte {error.start + 1} is not UTF-8; save the file as UTF-8"
        ) from None


def unknown_variables() -> list[UnknownVariable]:
    """Return the variables `CONDUCTOR_*` of the environment and `.env` that are no settings."""
    variables = {variable_of(name) for name in Settings.model_fields}
    return [
        UnknownVariable(name, _nearest(name, variables))
        for name in sorted(set(_given_variables()))
        if name.startswith(ENV_PREFIX) and name not in variables
    ]


def _given_variables() -> Iterator[str]:
    for name, value in os.environ.items():
        if not (_SERVICE_LINK.fullmatch(name) or _SERVICE_ADDRESS.fullmatch(value)):
            yield name.upper()
    path = Path(ENV_FILE)
    if path.is_file():
        yield from map(str.upper, _ASSIGNMENT.findall(path.read_text(encoding="utf-8")))


def _nearest(name: str, variables: set[str]) -> str | None:
    """Return the variable that is most similar; the prefix, which all have, counts for nothing."""
    names = {variable.removeprefix(ENV_PREFIX): variable for variable in variables}
    similar = get_close_matches(name.removeprefix(ENV_PREFIX), names, 1, MIN_SIMILARITY)
    return names[similar[0]] if similar else None


def _error_line(problem: ErrorDetails) -> str:
    message = problem["msg"].removeprefix("Value error, ")
    if not problem["loc"]:  # it is about two settings, and names them
        return message
    field_name = str(problem["loc"][0])
    variable = variable_of(field_name)
    if _SERVICE_ADDRESS.fullmatch(str(problem["input"])):
        message = "set by Kubernetes for a Service: use enableServiceLinks: false, or set it"
    [example, *_] = Settings.model_fields[field_name].examples or [default_text(field_name)]
    return f"{variable}={problem['input']!r}: {message}, e.g. {variable}={example}"

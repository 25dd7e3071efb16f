"""The settings as texts: the table of `deploy/SETTINGS.md`, and the list of `run --help`."""

from collections.abc import Iterator
from textwrap import indent, wrap
from typing import Final

from conductor_actors.settings import Settings, variable_of

MAX_LINE_CHARS: Final = 70  # indented, it fits a terminal of 80

_INDENT: Final = " " * 4


def markdown_table() -> str:
    """Return the table of `deploy/SETTINGS.md`."""
    lines = ["| variable | default | description |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = "" if name == "state_dir" else default_text(name)  # it depends on the user
        lines.append(
            f"| `{variable_of(name)}` | {default and f'`{default}`'} | {field.description} |"
        )
    return "\n".join(lines)


def help_list() -> str:
    """Return the list for a terminal: each variable with its default, and its description below."""
    return "\n".join(["\b", "Settings, with their defaults:", *_help_lines()])


def default_text(field_name: str) -> str:
    """Return a setting's default as its variable would have it; empty if unset."""
    default = Settings.model_fields[field_name].default
    if default in (None, ()):
        return ""
    if isinstance(default, bool):
        return str(default).lower()
    return f"{default:g}" if isinstance(default, float) else str(default)


def _help_lines() -> Iterator[str]:
    for name, field in Settings.model_fields.items():
        yield f"{variable_of(name)}  {default_text(name)}".rstrip()
        yield indent("\n".join(wrap(field.description or "", MAX_LINE_CHARS)), _INDENT)

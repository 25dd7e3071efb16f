"""The settings as text: the table of `deploy/SETTINGS.md`, and the list of the command line."""

from textwrap import wrap
from typing import Final

from conductor_actors.settings import Settings

LISTING_CHARS: Final = 70  # fits a terminal of 80


def table() -> str:
    """Return the table of `deploy/SETTINGS.md`."""
    lines = ["| variable | default | description |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = "" if name == "state_dir" else _shown(field.default)
        lines.append(f"| `{field.validation_alias}` | {default} | {field.description} |")
    return "\n".join(lines)


def listing() -> str:
    """List the variables for a terminal: each with its default, and below what it is."""
    paragraphs = [
        f"{field.validation_alias}  {_plain(field.default)}".rstrip()
        + "".join(f"\n    {line}" for line in wrap(field.description or "", LISTING_CHARS))
        for field in Settings.model_fields.values()
    ]
    return "\b\n" + "\n".join(["Settings, with their defaults:", *paragraphs])


def _shown(default: object) -> str:
    return f"`{_plain(default)}`" if _plain(default) else ""


def _plain(default: object) -> str:
    if default in (None, ()):
        return ""
    if isinstance(default, bool):
        return str(default).lower()
    return f"{default:g}" if isinstance(default, float) else str(default)

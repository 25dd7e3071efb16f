"""Writes `deploy/SETTINGS.md`: `python -m tests.deploy.settings_page`."""

from typing import Final

from conductor_actors import settings_text
from tests.deploy.files import DEPLOY

FILE: Final = DEPLOY / "SETTINGS.md"
_INTRODUCTION: Final = """\
# Settings

Settings are environment variables. They can also be written to a file `.env` in the working
directory; the environment takes precedence. An invalid value ends the start with exit code 2 and a
line that names the variable, the problem and an example.

"""


def page() -> str:
    """Return the whole file."""
    return f"{_INTRODUCTION}{settings_text.table()}\n"


if __name__ == "__main__":
    FILE.write_text(page(), encoding="utf-8")

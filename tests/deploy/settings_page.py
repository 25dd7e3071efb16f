"""Generates `deploy/SETTINGS.md`: `python -m tests.deploy.settings_page`."""

from typing import Final

from conductor_actors.settings import texts
from tests.deploy.files import DEPLOY

FILE: Final = DEPLOY / "SETTINGS.md"
_INTRODUCTION: Final = """\
# Settings

Settings are environment variables, or lines of a file `.env` in the working directory; the
environment takes precedence. If a value is invalid, the service exits with code 2 and a line that
names the variable, the problem and an example.

"""


def page() -> str:
    """Return the text of the file."""
    return f"{_INTRODUCTION}{texts.markdown_table()}\n"


if __name__ == "__main__":
    FILE.write_text(page(), encoding="utf-8")

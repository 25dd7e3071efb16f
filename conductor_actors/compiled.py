"""Whether this process runs the hot path compiled; see `setup.py`."""

from importlib.machinery import EXTENSION_SUFFIXES
from typing import Final

from conductor_actors.domain import windows

IS_COMPILED: Final = windows.__file__.endswith(tuple(EXTENSION_SUFFIXES))

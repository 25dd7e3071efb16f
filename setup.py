"""Build the package: pure Python, or with `CONDUCTOR_COMPILE=1` its hot path compiled by mypyc.

An editable install is always pure, because a compiled module would hide the source beside it. So is
a build without a C compiler, which warns.
"""

import os
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import BaseError, CCompilerError

COMPILER = ("mypy==2.4.1", "msgspec>=0.22,<1", "pykka>=4.5,<5", "structlog>=24.4")  # and types
HOT_PATH = (
    "actors/latch",
    "actors/runtime/coalescing_mailbox",
    "actors/runtime/dispatcher",
    "actors/runtime/mailbox",
    "actors/runtime/run_queue",
    "actors/runtime/turn_runner",
    "actors/session_table",
    "actors/top_sessions",
    "adapters/redis/events/entry_ids",
    "adapters/redis/events/raw_entries",
    "domain/anomalies/baseline",
    "domain/anomalies/bin",
    "domain/anomalies/detector",
    "domain/anomalies/drops",
    "domain/anomalies/evidence",
    "domain/anomalies/exits",
    "domain/anomalies/finding",
    "domain/anomalies/low_engagement",
    "domain/anomalies/observation",
    "domain/anomalies/stream",
    "domain/buckets",
    "domain/detection",
    "domain/draft",
    "domain/failures",
    "domain/intake",
    "domain/polls",
    "domain/session_state",
    "domain/windows",
)


class BuildAllOrNone(build_ext):
    """Builds every extension, or none: each module needs the library that all share."""

    def build_extensions(self) -> None:
        """Build; without a C compiler warn, and leave the package pure."""
        try:
            super().build_extensions()
        except (BaseError, CCompilerError) as error:
            self.warn(f"the package is pure Python, because compiling it failed: {error}")
            for extension in self.extensions:
                Path(self.get_ext_fullpath(extension.name)).unlink(missing_ok=True)
            self.extensions = []


def compiled_modules() -> list[Extension]:
    """Translate the hot path to C."""
    from mypyc.build import mypycify  # noqa: PLC0415 - most builds do without

    paths = [f"conductor_actors/{module}.py" for module in HOT_PATH]
    extensions: list[Extension] = mypycify(paths, group_name="conductor_actors", debug_level="0")
    for extension in extensions:  # products and sums are rounded apart, as in pure Python
        extension.extra_compile_args += ["-ffp-contract=off"] * (os.name == "posix")
    return extensions


is_wanted = os.environ.get("CONDUCTOR_COMPILE") == "1"
setup(
    cmdclass={"build_ext": BuildAllOrNone},
    setup_requires=COMPILER if is_wanted else (),
    ext_modules=compiled_modules() if is_wanted and "bdist_wheel" in sys.argv else (),
)

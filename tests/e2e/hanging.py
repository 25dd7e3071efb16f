"""A test that never ends, for `test_kill_with_embedded_servers`. No ordinary run collects it."""

import os
from pathlib import Path
from threading import Event


def test_hangs(valkey_url: str, postgres_url: str) -> None:
    Path(os.environ["TMPDIR"], "urls").write_text(f"{valkey_url} {postgres_url}")
    Event().wait()

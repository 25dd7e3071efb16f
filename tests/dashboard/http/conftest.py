"""A dashboard, and a client that sends it requests."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from conductor_actors.dashboard.server import Dashboard
from conductor_actors.instants import to_iso
from tests.dashboard.conftest import Serve

Fetch = Callable[..., httpx.Response]


@pytest.fixture
def dashboard(serve: Serve) -> Dashboard:
    return serve()


@pytest.fixture
def fetch(dashboard: Dashboard) -> Iterator[Fetch]:
    with httpx.Client(base_url=dashboard.address) as client:

        def get(path: str, **how: Any) -> httpx.Response:
            return client.get(path, **how)

        yield get


def iso(ms: int) -> str:
    """Return an instant as text."""
    return to_iso(ms)


def error(response: httpx.Response) -> tuple[int, str]:
    """Return the status and the code of an error."""
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message"}
    return response.status_code, body["error"]["code"]

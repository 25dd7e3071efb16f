"""The files of the page. They contain no data, so they need no token."""

import os
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from conductor_actors.dashboard.access.proxies import FORWARDED_PREFIX

STATIC: Final = files("conductor_actors.dashboard").joinpath("static")


def page_routes() -> list[BaseRoute]:
    """Return the routes of the page."""
    return [Route("/", _page), Mount("/static", _Files(directory=str(STATIC), check_dir=False))]


class _Files(StaticFiles):
    """Files that a browser caches and revalidates each time: most responses are 304."""

    def file_response(self, *args: Any, **options: Any) -> Response:  # noqa: ANN401 - as there
        """Return a file, or 304 if it has not changed."""
        response = super().file_response(*args, **options)
        response.headers["Cache-Control"] = "no-cache"
        return response

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        """Return where a file is; no file's name has a NUL."""
        return ("", None) if "\0" in path else super().lookup_path(path)


async def _page(request: Request) -> Response:
    """Return the page, whose files have the path that browsers must request."""
    body, etag = _index(request.state.base_path)
    headers = {"Cache-Control": "no-cache", "ETag": etag, "Vary": FORWARDED_PREFIX}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="text/html")


@lru_cache(maxsize=16)
def _index(base_path: str) -> tuple[bytes, str]:
    """Return the page behind a path, and its ETag."""
    text = STATIC.joinpath("index.html").read_text(encoding="utf-8")
    body = text.replace('="/static/', f'="{base_path}/static/').encode()
    return body, f'"{sha256(body).hexdigest()[:32]}"'

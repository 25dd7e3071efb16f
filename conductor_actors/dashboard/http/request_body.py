"""Read the body of a request, whose size is limited."""

from typing import Final

from starlette.requests import Request

from conductor_actors.dashboard.access.auth import Denied

MAX_BODY_BYTES: Final = 4096


async def read_body(request: Request, max_bytes: int = MAX_BODY_BYTES) -> bytes:
    """Return the body; raise `Denied` if it is too large."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > max_bytes:
            raise Denied(413, "too_large", f"the body has more than {max_bytes:,} bytes")
    return body

"""Send events to webhooks by HTTP, signed as the Standard Webhooks specification says.

Everything about an attempt is bounded: its time, what is read of the response, the addresses that
are tried. Redirects and proxies are not used. (`httpcore` is the part of httpx that sends requests;
the rest, which follows redirects, reads `HTTP_PROXY` and keeps cookies, is not needed here.)
"""

import asyncio
import os
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from typing import Final

import certifi
import httpcore
from standardwebhooks.webhooks import Webhook

from conductor_actors.adapters.webhooks.checked_network import CheckedNetwork
from conductor_actors.ports.webhook_port import (
    AttemptResult,
    WebhookDelivery,
    WebhookReceiver,
    WebhookReceivers,
)
from conductor_actors.threads import InheritingThread

ATTEMPT_DEADLINE_S: Final = 15.0
CONNECT_S: Final = 5.0  # to one of its addresses
MAX_RESPONSE_BYTES: Final = 4096
MAX_FAILURE_CHARS: Final = 200
CLOSE_WITHIN_S: Final = 2.0
CLOSE_PAUSE_S: Final = 0.01

_CA_VARIABLES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")


class HttpWebhookSender:
    """A `WebhookSender` with an event loop on a thread of its own."""

    def __init__(
        self,
        receivers: WebhookReceivers,
        *,
        allow_private: bool = False,
        deadline_s: float = ATTEMPT_DEADLINE_S,
    ) -> None:
        self._receivers = receivers
        self._deadline_s = deadline_s
        self._network = CheckedNetwork(allow_private=allow_private)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=_ssl_context(),
            max_connections=None,
            max_keepalive_connections=0,  # each attempt looks its address up
            network_backend=self._network,
        )
        self._loop = asyncio.new_event_loop()
        self._thread = InheritingThread(self._run, "webhooks")
        self._thread.start()

    def send(self, delivery: WebhookDelivery, done: Callable[[AttemptResult], None]) -> None:
        """Begin an attempt; `done` is called on the thread of the event loop."""
        receiver = self._receivers.of(delivery.key.tenant_id)
        if receiver is None:
            done(AttemptResult(None, "the tenant has no webhook any more"))
            return
        future = asyncio.run_coroutine_threadsafe(self._attempt(receiver, delivery), self._loop)
        future.add_done_callback(
            lambda attempt: None if attempt.cancelled() else done(attempt.result())
        )

    def close(self) -> None:
        """End the attempts, and the thread."""
        if self._loop.is_running():
            self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CLOSE_WITHIN_S)
        self._network.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.run_until_complete(self._end_attempts())
            self._loop.close()

    async def _end_attempts(self) -> None:
        attempts = asyncio.all_tasks() - {asyncio.current_task()}
        for attempt in attempts:
            attempt.cancel()
        await asyncio.gather(*attempts, return_exceptions=True)
        await self._pool.aclose()
        await asyncio.sleep(CLOSE_PAUSE_S)  # in which the loop closes the sockets

    async def _attempt(self, receiver: WebhookReceiver, delivery: WebhookDelivery) -> AttemptResult:
        began_s = time.monotonic()
        [outcome] = await asyncio.gather(
            asyncio.wait_for(self._post(receiver, delivery), self._deadline_s),
            return_exceptions=True,
        )
        duration_s = round(time.monotonic() - began_s, 3)
        if isinstance(outcome, AttemptResult):
            return outcome._replace(duration_s=duration_s)
        if isinstance(outcome, TimeoutError):
            return AttemptResult(None, f"no response within {self._deadline_s:g} s", duration_s)
        return AttemptResult(None, _text_of(outcome), duration_s)

    async def _post(self, receiver: WebhookReceiver, delivery: WebhookDelivery) -> AttemptResult:
        body = delivery.body or b""
        headers = signed_headers(receiver, delivery.id, body, datetime.now(UTC))
        async with self._pool.stream(
            "POST",
            receiver.url,
            headers=[*headers.items()],
            content=body,
            extensions={"timeout": {"connect": CONNECT_S}},
        ) as response:
            found = {name.lower(): value for name, value in response.headers}
            received = b""
            async for part in response.aiter_stream():
                received += part
                if len(received) >= MAX_RESPONSE_BYTES:
                    break
        return AttemptResult(
            response.status,
            _refusal(response.status),
            retry_after_s=_retry_after_s(found.get(b"retry-after", b"").decode("latin-1")),
            response=received[:MAX_RESPONSE_BYTES],
        )


def signed_headers(
    receiver: WebhookReceiver, delivery_id: str, body: bytes, at: datetime
) -> dict[str, str]:
    """Return the headers of an attempt: `webhook-id` is the same in each, the key of idempotency.

    With two secrets it is signed by both, so that the receiver can change from one to the other.
    """
    text = body.decode()
    signatures = [Webhook(secret).sign(delivery_id, at, text) for secret in receiver.secrets]
    return {
        "content-type": "application/json",
        "user-agent": f"conductor-actors/{version('conductor-actors')}",
        "connection": "close",
        "webhook-id": delivery_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def _ssl_context() -> ssl.SSLContext:
    """Return a context with the authorities of the machine and, unless it names its own, Mozilla's.

    An image without any would trust nobody.
    """
    context = ssl.create_default_context()
    if not any(map(os.environ.get, _CA_VARIABLES)):
        context.load_verify_locations(certifi.where())
    return context


def _refusal(status: int) -> str:
    if 200 <= status < 300:
        return ""
    if 300 <= status < 400:
        return f"HTTP {status}: redirects are not followed"
    return f"HTTP {status}"


def _text_of(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:MAX_FAILURE_CHARS]


def _retry_after_s(text: str) -> float | None:
    """Return the seconds of a header `Retry-After`, which may be a time instead."""
    if text.strip().isdecimal():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return (at - datetime.now(UTC)).total_seconds()

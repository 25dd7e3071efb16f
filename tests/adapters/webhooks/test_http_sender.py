"""What is sent to a real receiver, and what its response means."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from queue import Queue
from time import monotonic, time

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from conductor_actors.adapters.webhooks.http_sender import MAX_RESPONSE_BYTES, HttpWebhookSender
from conductor_actors.domain.identity import SessionKey
from conductor_actors.ports.webhook_port import (
    AttemptResult,
    WebhookDelivery,
    WebhookReceiver,
    WebhookReceivers,
)
from tests.support.webhook_receiver import SECRET, Receiver, Reply

WITHIN_S = 10.0
DEADLINE_S = 1.0
ID = "6f4f3c06-0000-5000-8000-000000000001"
BODY = '{"type":"session.ended","data":{"title":"Größe 🎤"}}'.encode()
DELIVERY = WebhookDelivery(ID, SessionKey("acme", "keynote"), "session.ended", 0, BODY)
OTHER_SECRET = "whsec_" + "b3RoZXIg" * 5

Attempt = Callable[..., AttemptResult]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def attempt(
    url: str,
    *,
    allow_private: bool = True,
    secrets: tuple[str, ...] = (SECRET,),
    delivery: WebhookDelivery = DELIVERY,
) -> AttemptResult:
    receivers = WebhookReceivers(fallback=WebhookReceiver(url, secrets))
    sender = HttpWebhookSender(receivers, allow_private=allow_private, deadline_s=DEADLINE_S)
    with closing(sender):
        results: Queue[AttemptResult] = Queue()
        sender.send(delivery, results.put)
        return results.get(timeout=WITHIN_S)


def test_an_event_is_posted_with_its_id_time_and_signature(receiver: Receiver) -> None:
    result = attempt(receiver.url + "?a=b")
    assert (result.status, result.error) == (204, "")
    [received] = receiver.received
    assert received.path == "/hook?a=b"
    assert received.body == BODY
    assert received.headers["webhook-id"] == ID
    assert abs(int(received.headers["webhook-timestamp"]) - time()) < 5
    assert received.headers["content-type"] == "application/json"
    assert received.headers["host"] == f"127.0.0.1:{receiver.port}"
    Webhook(SECRET).verify(received.body, received.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(OTHER_SECRET).verify(received.body, received.headers)


def test_two_secrets_both_sign_so_that_the_receiver_can_change_from_one_to_the_other(
    receiver: Receiver,
) -> None:
    attempt(receiver.url, secrets=(OTHER_SECRET, SECRET))
    [received] = receiver.received
    for secret in (SECRET, OTHER_SECRET):
        Webhook(secret).verify(received.body, received.headers)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_an_error_and_is_not_followed(receiver: Receiver, status: int) -> None:
    receiver.reply = lambda _: Reply(status, {"location": receiver.url + "/elsewhere"})
    result = attempt(receiver.url)
    assert result.error == f"HTTP {status}: redirects are not followed"
    assert [each.path for each in receiver.received] == ["/hook"]


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:7f00:1]"]
)
def test_a_private_address_is_refused_before_anything_is_sent(
    receiver: Receiver, host: str
) -> None:
    result = attempt(f"http://{host}:{receiver.port}/hook", allow_private=False)
    assert result.status is None
    assert "is not a public address" in result.error
    assert "CONDUCTOR_WEBHOOK_ALLOW_PRIVATE" in result.error
    assert receiver.received == []


def test_a_name_is_looked_up_once_and_its_address_is_the_one_that_was_checked(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second answer could lead elsewhere (DNS rebinding)."""
    look_ups: list[str] = []

    def look_up(host: str, port: int, *_: object) -> list[object]:
        look_ups.append(host)
        address = "127.0.0.1" if len(look_ups) == 1 else "127.0.0.2"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    result = attempt(f"http://receiver.example:{receiver.port}/hook")
    assert result.status == 204
    assert look_ups == ["receiver.example"]
    assert receiver.received[0].headers["host"] == f"receiver.example:{receiver.port}"


def test_a_name_of_which_one_address_is_private_is_refused(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look_up(_: str, port: int, *__: object) -> list[object]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in ("8.8.8.8", "127.0.0.1")
        ]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    result = attempt(f"http://receiver.example:{receiver.port}/hook", allow_private=False)
    assert "127.0.0.1 is not a public address" in result.error


def test_a_proxy_of_the_environment_is_not_used(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert attempt(receiver.url).status == 204


def test_a_receiver_that_is_not_there_is_an_error_without_a_status() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        result = attempt(f"http://127.0.0.1:{unused.getsockname()[1]}/")
    assert result.status is None
    assert result.error


def test_a_name_that_does_not_exist_is_an_error_that_says_so() -> None:
    assert "can't be resolved" in attempt("https://receiver.invalid/").error


def test_a_receiver_that_answers_too_late_is_given_up(receiver: Receiver) -> None:
    never = threading.Event()
    receiver.reply = lambda _: Reply(wait=never)
    began_s = monotonic()
    assert attempt(receiver.url).error == "no response within 1 s"
    assert monotonic() - began_s < 3 * DEADLINE_S
    never.set()


@pytest.mark.parametrize("sent", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_receiver_that_answers_drop_by_drop_is_given_up(sent: bytes) -> None:
    """Each drop comes in time, all of them never do."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ended = threading.Event()

        def drip() -> None:
            peer, _ = server.accept()
            with peer:
                peer.recv(65536)
                peer.sendall(sent)
                while not ended.wait(0.1):
                    try:
                        peer.sendall(b"x")
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        assert "no response" in attempt(f"http://127.0.0.1:{server.getsockname()[1]}/").error
        ended.set()
        thread.join()


def test_only_the_beginning_of_a_response_is_read() -> None:
    """Else one without an end would never be a success."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def flood() -> None:
            peer, _ = server.accept()
            with peer, suppress(OSError):
                peer.recv(65536)
                peer.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                while True:
                    peer.sendall(b"x" * 65536)

        thread = threading.Thread(target=flood)
        thread.start()
        result = attempt(f"http://127.0.0.1:{server.getsockname()[1]}/")
        thread.join()
    assert (result.status, len(result.response)) == (200, MAX_RESPONSE_BYTES)


def test_a_receiver_that_speaks_no_http_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def speak() -> None:
            peer, _ = server.accept()
            with peer:
                peer.recv(65536)
                peer.sendall(b"220 mail.example ESMTP\r\n")

        thread = threading.Thread(target=speak)
        thread.start()
        result = attempt(f"http://127.0.0.1:{server.getsockname()[1]}/")
        thread.join()
    assert result.status is None
    assert result.error


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_receiver_may_say_when_to_try_again(receiver: Receiver, form: str) -> None:
    in_an_hour = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    header = "3600" if form == "seconds" else in_an_hour
    receiver.reply = lambda _: Reply(429, {"Retry-After": header})
    result = attempt(receiver.url)
    assert (result.status, result.error) == (429, "HTTP 429")
    assert result.retry_after_s is not None
    assert 3500 <= result.retry_after_s <= 3600


@pytest.mark.parametrize("header", ["soon", "-1", "", "1e9", "٣"])
def test_a_time_to_try_again_that_is_none_is_ignored(receiver: Receiver, header: str) -> None:
    receiver.reply = lambda _: Reply(503, {"Retry-After": header.encode().decode("latin-1")})
    assert attempt(receiver.url).retry_after_s is None


def test_a_tenant_whose_webhook_was_removed_gets_nothing() -> None:
    sender = HttpWebhookSender(WebhookReceivers())
    with closing(sender):
        results: Queue[AttemptResult] = Queue()
        sender.send(DELIVERY, results.put)
        assert "no webhook any more" in results.get(timeout=WITHIN_S).error


def test_a_receiver_never_shows_its_url_or_secret() -> None:
    shown = repr(WebhookReceivers({"acme": WebhookReceiver("https://a/token", (SECRET,))}))
    assert "token" not in shown
    assert SECRET not in shown

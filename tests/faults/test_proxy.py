"""What the proxy does to connections is what it says: the other tests here stand on it."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from threading import Thread
from time import monotonic

import pytest

from tests.faults.proxy import CutConnection, Direction, Proxy

DEADLINE_S = 5.0
SHORT_S = 0.1


class Echo:
    """A server that says everything back, and remembers it."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.heard = b""
        self._threads = [Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        with suppress(OSError):  # it is closed
            self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(DEADLINE_S)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._threads.append(Thread(target=self._answer, args=(client,)))
            self._threads[-1].start()

    def _answer(self, client: socket.socket) -> None:
        with client:
            try:
                while chunk := client.recv(1 << 16):
                    self.heard += chunk
                    client.sendall(chunk)
            except OSError:
                return


@pytest.fixture
def echo() -> Iterator[Echo]:
    with closing(Echo()) as server:
        yield server


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    with Proxy(echo.port) as proxy:
        yield proxy


@pytest.fixture
def line(proxy: Proxy) -> Iterator[socket.socket]:
    with connected(proxy) as client:
        yield client


def connected(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), DEADLINE_S)


def said(client: socket.socket, text: bytes) -> bytes:
    client.sendall(text)
    return received(client, len(text))


def received(client: socket.socket, size: int) -> bytes:
    text = b""
    while len(text) < size and (chunk := client.recv(size - len(text))):
        text += chunk
    return text


def test_it_passes_everything_on_and_an_end_in_one_direction_is_not_the_end_of_the_other(
    line: socket.socket,
) -> None:
    text = bytes(range(256)) * 4096
    sender = Thread(target=line.sendall, args=(text,))
    sender.start()
    assert received(line, len(text)) == text
    sender.join()
    line.sendall(b"the last")
    line.shutdown(socket.SHUT_WR)
    assert received(line, 100) == b"the last"


def test_it_refuses_new_connections_and_keeps_the_old_ones_and_its_port(
    proxy: Proxy, line: socket.socket
) -> None:
    proxy.refuse()
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            connected(proxy)
    assert said(line, b"still there") == b"still there"
    proxy.heal()
    with connected(proxy) as again:
        assert said(again, b"back") == b"back"


def test_it_resets_the_connections_there_are_and_takes_new_ones(
    proxy: Proxy, line: socket.socket
) -> None:
    said(line, b"there")
    proxy.reset()
    with pytest.raises(ConnectionResetError):
        line.recv(1)
    with connected(proxy) as again:
        assert said(again, b"back") == b"back"


def test_a_server_that_is_away_resets_the_client(echo: Echo, proxy: Proxy) -> None:
    echo.close()
    with pytest.raises(ConnectionResetError), connected(proxy) as client:
        client.recv(1)


@pytest.mark.parametrize("direction", Direction)
def test_what_is_swallowed_never_arrives_and_its_connection_is_not_used_again(
    echo: Echo, proxy: Proxy, line: socket.socket, direction: Direction
) -> None:
    assert said(line, b"before") == b"before"
    proxy.fall_silent(direction)
    line.sendall(b"swallowed")
    line.settimeout(SHORT_S)
    with pytest.raises(TimeoutError):
        line.recv(1)
    assert echo.heard == (b"before" if direction is Direction.REQUEST else b"beforeswallowed")
    proxy.heal()
    line.settimeout(DEADLINE_S)
    with pytest.raises(ConnectionResetError):
        said(line, b"after")
    with connected(proxy) as again:
        assert said(again, b"back") == b"back"


def test_a_new_connection_into_silence_is_accepted_and_never_answered(proxy: Proxy) -> None:
    proxy.fall_silent()
    with connected(proxy) as client:
        client.settimeout(SHORT_S)
        with pytest.raises(TimeoutError):
            said(client, b"hello")


def test_a_delay_holds_for_each_way(proxy: Proxy, line: socket.socket) -> None:
    proxy.slow_down(SHORT_S)
    began_s = monotonic()
    assert said(line, b"slow") == b"slow"
    assert monotonic() - began_s >= 2 * SHORT_S


def test_a_throttle_makes_time_of_size(proxy: Proxy, line: socket.socket) -> None:
    proxy.slow_down(0, 1_000_000, Direction.RESPONSE)
    began_s = monotonic()
    assert len(said(line, bytes(200_000))) == 200_000
    assert monotonic() - began_s >= 0.2


def test_a_filter_changes_what_it_likes(proxy: Proxy, line: socket.socket) -> None:
    proxy.filter = lambda direction, chunk: (
        chunk.upper() if direction is Direction.RESPONSE else chunk + b"!"
    )
    line.sendall(b"hello")
    assert received(line, 6) == b"HELLO!"


@pytest.mark.parametrize(
    ("direction", "last"),
    [(Direction.REQUEST, b""), (Direction.REQUEST, b"COMMIT"), (Direction.RESPONSE, b"")],
)
def test_a_filter_may_cut_before_a_request_after_it_or_before_its_answer(
    echo: Echo, proxy: Proxy, line: socket.socket, direction: Direction, last: bytes
) -> None:
    def cut(of: Direction, chunk: bytes) -> bytes:
        if of is direction and b"COMMIT" in chunk:
            raise CutConnection(last)
        return chunk

    proxy.filter = cut
    line.sendall(b"COMMIT")
    with pytest.raises(ConnectionResetError):
        line.recv(1)
    with connected(proxy) as again:
        said(again, b".")
    arrives = last or direction is Direction.RESPONSE
    assert echo.heard == (b"COMMIT." if arrives else b".")


def test_it_knows_which_connections_of_the_server_are_its_own(proxy: Proxy) -> None:
    with ExitStack() as lines:
        for number in range(3):
            said(lines.enter_context(connected(proxy)), b".")
            assert len(proxy.ports_out) == number + 1

"""A proxy before a database that interrupts a connection at a word of the client."""

import socket
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import TypeAlias

from psycopg.conninfo import conninfo_to_dict, make_conninfo

# Receives what the client sent, and both sockets.
Interruption: TypeAlias = Callable[[bytes, socket.socket, socket.socket], None]


def stop_forwarding(said: bytes, client: socket.socket, server: socket.socket) -> None:
    """Pass nothing on, and answer nothing."""
    del said, client, server


def disconnect(said: bytes, client: socket.socket, server: socket.socket) -> None:
    """End both connections before the server receives it."""
    del said
    client.shutdown(socket.SHUT_RDWR)
    server.shutdown(socket.SHUT_RDWR)


def drop_reply(said: bytes, client: socket.socket, server: socket.socket) -> None:
    """Pass it on to the server, and disconnect the client before the reply."""
    client.shutdown(socket.SHUT_RDWR)
    server.sendall(said)


class InterruptingProxy:
    """Forward each connection until the client sends `word`, and then interrupt it."""

    def __init__(self, server_url: str, word: bytes, interrupt: Interruption) -> None:
        given = conninfo_to_dict(server_url)
        self._address = str(given["host"]), int(str(given["port"]))
        self._word, self._interrupt = word, interrupt
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = str(self._listener.getsockname()[1])
        self.url = make_conninfo(server_url, host="127.0.0.1", port=port, sslmode="disable")
        self._open = [self._listener]
        self._threads = [self._started(self._accept)]

    def close(self) -> None:
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join()

    def _started(self, work: Callable[..., None], *ends: socket.socket) -> Thread:
        thread = Thread(target=work, args=ends, daemon=True)
        thread.start()
        return thread

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                server = socket.create_connection(self._address)
                self._open += [client, server]
                self._threads.append(self._started(self._talk, client, server))
                self._threads.append(self._started(self._answer, server, client))

    def _talk(self, client: socket.socket, server: socket.socket) -> None:
        is_interrupted = False
        with suppress(OSError):
            while said := client.recv(1 << 16):
                if not is_interrupted and self._word not in said:
                    server.sendall(said)
                elif not is_interrupted:
                    is_interrupted = True
                    self._interrupt(said, client, server)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while said := server.recv(1 << 16):
                client.sendall(said)

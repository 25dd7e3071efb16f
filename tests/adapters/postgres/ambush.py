"""A proxy that stands between a store and its server, and strikes at a word of the client."""

import socket
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import TypeAlias

from psycopg.conninfo import conninfo_to_dict, make_conninfo

# What is done with what the client said: (said, client, server).
Strike: TypeAlias = Callable[[bytes, socket.socket, socket.socket], None]


def keep_silent(said: bytes, client: socket.socket, server: socket.socket) -> None:
    """Pass nothing on any more, and answer nothing."""
    del said, client, server


def hang_up(said: bytes, client: socket.socket, server: socket.socket) -> None:
    """End both connections before the server has heard of it."""
    del said
    client.shutdown(socket.SHUT_RDWR)
    server.shutdown(socket.SHUT_RDWR)


def lose_the_answer(said: bytes, client: socket.socket, server: socket.socket) -> None:
    """Let the server do it, and the client not know."""
    client.shutdown(socket.SHUT_RDWR)
    server.sendall(said)


class Ambush:
    """Pass everything on; of each connection, from `word` on, leave it to `strike`."""

    def __init__(self, server_url: str, word: bytes, strike: Strike) -> None:
        given = conninfo_to_dict(server_url)
        self._address = str(given["host"]), int(str(given["port"]))
        self._word, self._strike = word, strike
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
        has_struck = False
        with suppress(OSError):
            while said := client.recv(1 << 16):
                if not has_struck and self._word not in said:
                    server.sendall(said)
                elif not has_struck:
                    has_struck = True
                    self._strike(said, client, server)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while said := server.recv(1 << 16):
                client.sendall(said)

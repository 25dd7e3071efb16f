"""Real servers, and the settings of a service on them."""

import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import redis
from redis.client import PubSub

from tests.support.event_load import event_load
from tests.support.event_samples import REACTION
from tests.support.programs import Program, assert_same_rows, replay_rows, running, select_rows

REACTION_BODY: Final = b'{"sessionId":"room","userId":"ada"}'


class Deployment(NamedTuple):
    """A client of Redis, the settings of the service, and the folder that it runs in."""

    client: redis.Redis
    settings: dict[str, str]
    cwd: Path

    @contextmanager
    def running(self, **settings: str) -> Iterator[Program]:
        with running(cwd=self.cwd, **self.settings | settings) as program:
            yield program

    def add_reaction(self) -> None:
        self.client.xadd(REACTION, {"data": REACTION_BODY})

    def event_load(self) -> AbstractContextManager[None]:
        return event_load(self.settings["REDIS_URL"])

    def pubsub(self) -> PubSub:
        pubsub: PubSub = self.client.pubsub()  # type: ignore[no-untyped-call]
        return pubsub

    def assert_rows_are_those_of_a_replay(self) -> None:
        rows = select_rows(self.settings["DATABASE_URL"])
        again = replay_rows(self.settings["REDIS_URL"], self.cwd, **self.settings)
        assert_same_rows(rows, again)


def terminate(program: Program) -> None:
    """Terminate a program, which must drain completely."""
    program.signal(signal.SIGTERM)
    ended = program.finish()
    assert (ended.exit_code, ended.stderr) == (0, "")
    assert program.all("drain_incomplete") == []

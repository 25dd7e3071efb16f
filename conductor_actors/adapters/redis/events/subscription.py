"""A connection that receives what is published in Redis, from its subscription to its end."""

import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from operator import itemgetter
from typing import Any, Final, NamedTuple, TypeAlias

import redis

from conductor_actors.adapters.redis.connections.buffered_replies import pop_buffered_replies
from conductor_actors.adapters.redis.connections.liveness import Deadlines, Liveness
from conductor_actors.adapters.redis.connections.namespaces import (
    add_prefix,
    prefix_of,
    remove_prefix,
)
from conductor_actors.adapters.redis.connections.pipelines import Command
from conductor_actors.adapters.redis.connections.primary import ROLE_COMMAND, subscriber_connection
from conductor_actors.adapters.redis.connections.redis_errors import ERROR_REPLIES, mapped_errors
from conductor_actors.errors import Unavailable
from conductor_actors.ports import Clock

MAX_MESSAGES_PER_READ: Final = 1000

_MESSAGE_KINDS: Final = (b"message", b"pmessage")
_kind: Final = itemgetter(0)  # of a reply

Message: TypeAlias = Sequence[Any]  # kind, perhaps the pattern, channel, body


class Subscriptions(NamedTuple):
    """The channels and patterns to subscribe to."""

    channels: Sequence[str] = ()
    patterns: Sequence[str] = ()

    def commands(self, prefix: str = "") -> list[Command]:
        """Return the commands that subscribe to all of them, with a prefix."""
        named = (("SUBSCRIBE", *self.channels), ("PSUBSCRIBE", *self.patterns))
        return [add_prefix(command, prefix) for command in named if len(command) > 1]

    def replies(self) -> int:
        """Return how many replies confirm the subscription."""
        return len(self.channels) + len(self.patterns)


def is_message(reply: Sequence[Any]) -> bool:
    """Return whether a reply is a published message, and not the answer to a command."""
    return bool(reply) and reply[0] in _MESSAGE_KINDS


def _are_messages(replies: Sequence[Any]) -> bool:
    """Check whether all replies are messages of the same kind, as most often."""
    try:
        kinds = [*map(_kind, replies)]
    except (TypeError, LookupError):  # an error, or the answer to HELLO
        return False
    return not kinds or (kinds[0] in _MESSAGE_KINDS and kinds.count(kinds[0]) == len(kinds))


class Subscription:
    """A subscribed connection. Close it after any error, and open another.

    Every call raises `Unavailable` when the connection is lost or dead, and `ConfigError` for what
    the operator must grant.
    """

    def __init__(
        self,
        client: redis.Redis,
        subscriptions: Subscriptions,
        deadlines: Deadlines,
        clock: Clock = time.monotonic,
    ) -> None:
        self._prefix = prefix_of(client)
        self._clock = clock
        self._liveness = Liveness.new(deadlines, clock())
        self._early: list[Message] = []
        with mapped_errors(), ExitStack() as on_failure:
            self._connection: Any = subscriber_connection(client.connection_pool)
            on_failure.callback(self.close)
            self._connection.connect()
            self._subscribe(subscriptions)
            on_failure.pop_all()

    @property
    def heard_s(self) -> float:
        """When anything was last received, by the clock."""
        return self._liveness.heard_s

    def read(self, timeout_s: float, most: int = MAX_MESSAGES_PER_READ) -> Sequence[Message]:
        """Return the messages that are there, waiting for one if there is none."""
        early, self._early = self._early, []
        if early:
            return early
        with mapped_errors():
            if self._connection.can_read(timeout=timeout_s):
                self._liveness = self._liveness.after_reply(self._clock())
                messages = self._received(most)
            else:
                messages = []
            self._check()
        return messages

    def close(self) -> None:
        """Close the connection."""
        self._connection.disconnect()

    def _subscribe(self, subscriptions: Subscriptions) -> None:
        packed = self._connection.pack_commands(subscriptions.commands(self._prefix))
        self._connection.send_packed_command(packed)
        missing = subscriptions.replies()
        while missing:
            reply = self._connection.read_response(push_request=True)
            if is_message(reply):
                self._early.append(remove_prefix(reply, self._prefix))
            else:
                missing -= 1

    def _received(self, most: int) -> list[Message]:
        messages: list[Message] = []
        while len(messages) < most and self._connection.can_read():
            with suppress(*ERROR_REPLIES):  # replies, too
                reply = self._connection.read_response(disconnect_on_error=False, push_request=True)
                messages += self._messages([reply])
            messages += self._messages(pop_buffered_replies(self._connection, most - len(messages)))
        return messages

    def _messages(self, replies: list[Any]) -> list[Message]:
        """Return the messages among replies; the other replies are checked."""
        messages = replies
        if not _are_messages(replies):
            messages = [each for each in replies if isinstance(each, list) and is_message(each)]
            self._check_others(replies)
        if self._prefix:
            return [remove_prefix(message, self._prefix) for message in messages]
        return messages

    def _check_others(self, replies: Sequence[Any]) -> None:
        """Check the role in a reply to HELLO, and raise an error that ends the connection."""
        for reply in replies:
            if isinstance(reply, dict):
                self._connection.check_role(reply)
            elif isinstance(reply, Exception) and not isinstance(reply, ERROR_REPLIES):
                raise reply

    def _check(self) -> None:
        now_s = self._clock()
        if self._liveness.is_dead(now_s):
            raise Unavailable("redis: pub/sub does not answer")
        if self._liveness.is_request_due(now_s):
            self._connection.send_command(*ROLE_COMMAND, check_health=False)
            self._liveness = self._liveness.after_request(now_s)

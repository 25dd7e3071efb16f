"""Sentinels, which know the primary: their URL, and how they are asked."""

import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeAlias
from urllib.parse import unquote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from conductor_actors.log_events import PrimaryChanged, emit
from conductor_actors.ports import Clock

SENTINEL_PORT: Final = 26379
SENTINEL_TIMEOUT_S: Final = 0.5
SENTINEL_RETRY_S: Final = 5.0  # after none has responded: each read would wait for them

_SCHEMES: Final = {"redis+sentinel://": "redis://", "rediss+sentinel://": "rediss://"}

Address: TypeAlias = tuple[str, int]


class SentinelUrl(NamedTuple):
    """A URL of Sentinels: the URL that it would be with one host, all hosts, and the name."""

    plain_url: str
    hosts: Sequence[Address]
    name: str


class SentinelGroup:
    """Sentinels that watch the same primary. Threads share it."""

    def __init__(self, hosts: Sequence[Address], name: str, **options: Any) -> None:  # noqa: ANN401
        self._name = name
        options |= {
            "retry": Retry(NoBackoff(), 0),  # which would delay each read while one is away
            "protocol": 2,  # the errors of HELLO would hide that of a missing password
            "socket_timeout": SENTINEL_TIMEOUT_S,
            "socket_connect_timeout": SENTINEL_TIMEOUT_S,
        }
        self._sentinel = Sentinel(hosts, sentinel_kwargs=options)  # type: ignore[no-untyped-call]
        self._clock: Clock = time.monotonic
        self._ask_again_s: dict[int, float] = {}
        self._address: Address | None = None
        self._last_error = ""

    def address(self) -> Address:
        """Return the primary's address; raise a redis `ConnectionError` if no Sentinel knows it."""
        state = self._newest(self._states())
        if state is None:
            reason = f": {self._last_error}" if self._last_error else ""
            raise redis.ConnectionError(
                f"no Sentinel responds that knows a primary {self._name!r}{reason}"
            )
        before, self._address = self._address, (state["ip"], state["port"])
        if before not in (None, self._address):
            emit(PrimaryChanged(primary=self._name, address=f"{state['ip']}:{state['port']}"))
        return self._address

    def has_moved(self, address: Address) -> bool:
        """Check whether another server is the primary, or none is; False if no Sentinel responds.

        A primary that the Sentinels take for down may have been replaced already.
        """
        states = self._states()
        newest = self._newest(states)
        return bool(states) and (newest is None or (newest["ip"], newest["port"]) != address)

    def _states(self) -> list[dict[str, Any]]:
        """Return what each Sentinel that responds knows of the primary; leave out slow ones."""
        states = []
        for number, sentinel in enumerate(self._sentinel.sentinels):
            if self._clock() < self._ask_again_s.get(number, 0.0):
                continue
            try:
                known: Any = sentinel.sentinel_masters()
            except (redis.ConnectionError, redis.TimeoutError) as error:
                self._last_error = str(error)
                self._ask_again_s[number] = self._clock() + SENTINEL_RETRY_S
            else:
                self._last_error = ""
                states.append(known.get(self._name, {}))
        return states

    def _newest(self, states: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
        """Return the state after the last failover: the other Sentinels learn of it later."""
        known = [state for state in states if state]
        epoch = max((state["config-epoch"] for state in known), default=0)
        for state in known:
            is_up = self._sentinel.check_master_state(state, self._name)  # type: ignore[no-untyped-call]
            if state["config-epoch"] == epoch and is_up:
                return state
        return None


def parse_sentinel_url(url: str) -> SentinelUrl | None:
    """Return the parts of `redis+sentinel://user:password@host:port,host2/name/0?option=value`.

    Return None for a URL without Sentinels; raise `ValueError` for one that can't be read.
    """
    scheme = next((each for each in _SCHEMES if url.startswith(each)), None)
    if scheme is None:
        return None
    location, mark, query = url.removeprefix(scheme).partition("?")
    authority, _, path = location.partition("/")
    credentials, at, hosts = authority.rpartition("@")
    name, _, database = path.partition("/")
    addresses = [_address(host) for host in hosts.split(",")]
    if not name:
        raise ValueError("no name of a primary")
    first, *_ = hosts.split(",")
    plain_url = f"{_SCHEMES[scheme]}{credentials}{at}{first}/{database}{mark}{query}"
    return SentinelUrl(plain_url, addresses, unquote(name))


@lru_cache(16)
def sentinel_group(
    hosts: tuple[Address, ...], name: str, options: tuple[tuple[str, Any], ...]
) -> SentinelGroup:
    """Return the group that all clients of one URL share."""
    return SentinelGroup(hosts, name, **dict(options))


def _address(host: str) -> Address:
    parts = urlsplit(f"//{host}")
    if not parts.hostname:
        raise ValueError("no host of a Sentinel")
    return unquote(parts.hostname), parts.port or SENTINEL_PORT

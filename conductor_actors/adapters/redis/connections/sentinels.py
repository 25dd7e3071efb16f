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

FAILOVER_FLAG: Final = "failover_in_progress"

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
                f"no Sentinel knows a primary {self._name!r} that is up{reason}"
            )
        before, self._address = self._address, (state["ip"], state["port"])
        if before not in (None, self._address):
            emit(PrimaryChanged(primary=self._name, address=f"{state['ip']}:{state['port']}"))
        return self._address

    def has_moved(self, address: Address) -> bool:
        """Check whether another server is the primary, or none is; False if no Sentinel responds.

        A primary that the Sentinels take for down, or are replacing, may have been replaced
        already: what is written to it after the promotion of its replica is lost.
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
                states.append(self._state(sentinel))
            except (redis.ConnectionError, redis.TimeoutError) as error:
                self._last_error = str(error)
                self._ask_again_s[number] = self._clock() + SENTINEL_RETRY_S
            else:
                self._last_error = ""
        return states

    def _state(self, sentinel: Any) -> dict[str, Any]:  # noqa: ANN401 - a client without types
        """Return what a Sentinel knows; while it fails over, with the replica once promoted."""
        state: dict[str, Any] = sentinel.sentinel_masters().get(self._name, {})
        if FAILOVER_FLAG in state.get("flags", ""):
            ip, port = sentinel.sentinel_get_master_addr_by_name(self._name)
            state["is_being_replaced"] = (ip.decode(), port) == (state["ip"], state["port"])
            state |= {"ip": ip.decode(), "port": port}
        return state

    def _newest(self, states: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
        """Return the state after the last failover: the other Sentinels learn of it later."""
        epoch = max((state["config-epoch"] for state in states if state), default=0)
        newest = [state for state in states if state and state["config-epoch"] == epoch]
        if any(state.get("is_being_replaced") for state in newest):
            return None
        return next(filter(self._is_up, newest), None)

    def _is_up(self, state: dict[str, Any]) -> bool:
        return bool(self._sentinel.check_master_state(state, self._name))  # type: ignore[no-untyped-call]


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

"""The contract of every policy store, on a Valkey and on the oldest Redis that is supported."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any, NamedTuple

import msgspec
import pytest
import redis

from conductor_actors.adapters.redis.connections.namespaces import with_namespace
from conductor_actors.adapters.redis.connections.pipelines import pipeline, server_time_ms
from conductor_actors.adapters.redis.interventions import policy_store
from conductor_actors.adapters.redis.interventions.policy_store import RedisPolicyStore
from conductor_actors.domain.conductor.policy import CellSums, Policy
from conductor_actors.errors import ConfigError, OwnershipLost
from conductor_actors.ports.conductor_port import PolicyChange, PolicyStore, PolicyTrial
from tests.adapters.redis.acl_users import acl_user, as_user, granted_rules
from tests.support.fakes.memory_policy import MemoryPolicyStore
from tests.support.fences import take_ownership
from tests.support.oldest_redis import redis_7_0
from tests.support.valkey_servers import ServerKind, ValkeyServer, valkey_server

POLL, HOLD = "POLL:SUDDEN_DROP", "HOLD:MASS_EXIT"
DAYS_MS = 86_400_000


@pytest.fixture(scope="module", params=["valkey", "redis 7.0"])
def server(request: pytest.FixtureRequest) -> Iterator[ValkeyServer]:
    kind = ServerKind(redis_7_0() if request.param == "redis 7.0" else None)
    with valkey_server(kind=kind) as server:
        yield server


@pytest.fixture
def client(server: ValkeyServer) -> redis.Redis:
    server.client.flushall()
    return server.client


class StoreUnderTest(NamedTuple):
    store: PolicyStore
    versions: Callable[[str], Sequence[Policy]]
    now_ms: int


@pytest.fixture(params=["memory", "redis"])
def tested(
    request: pytest.FixtureRequest, server: ValkeyServer, client: redis.Redis
) -> Iterator[StoreUnderTest]:
    if request.param == "memory":
        memory = MemoryPolicyStore()
        yield StoreUnderTest(memory, memory.versions.__getitem__, DAYS_MS)
        return
    with closing(RedisPolicyStore(server.url, take_ownership(server.url))) as store:
        yield StoreUnderTest(
            store,
            lambda tenant: versions(client, "" if tenant == "default" else f"{tenant}:"),
            now_ms(client),
        )


def now_ms(client: redis.Redis) -> int:
    return server_time_ms(pipeline(client, [("TIME",)])[0])


def versions(client: redis.Redis, prefix: str = "") -> list[Policy]:
    found = pipeline(client, [("XRANGE", f"{prefix}conductor:policy", "-", "+")])[0]
    return [msgspec.json.decode(fields[1], type=Policy) for _, fields in found]


def trial(number: int, measured_ms: int, **changes: Any) -> PolicyTrial:
    return PolicyTrial(f"trial {number}", POLL, 250_000, 500_000, measured_ms)._replace(**changes)


def test_the_first_trials_are_the_first_version(tested: StoreUnderTest) -> None:
    trials = [
        trial(1, tested.now_ms),
        trial(2, tested.now_ms, before=1, after=1_000_000),
        trial(3, tested.now_ms, cell=HOLD, before=0, after=0),
    ]
    assert tested.store.add_trials("default", trials) == PolicyChange(3, 1)
    assert tested.versions("default") == [
        Policy(
            1,
            {
                POLL: CellSums(
                    2, 250_001, 1_500_000, 62_500_000_001, 125_001_000_000, 1_250_000_000_000
                ),
                HOLD: CellSums(1),
            },
        )
    ]


def test_each_later_trial_is_a_new_version_with_all_before(tested: StoreUnderTest) -> None:
    for number in (1, 2):
        changed = tested.store.add_trials("default", [trial(number, tested.now_ms)])
        assert changed == PolicyChange(1, number)
    assert [policy.version for policy in tested.versions("default")] == [1, 2]
    assert tested.versions("default")[1].cells[POLL].trials == 2


def test_a_trial_that_is_added_again_changes_nothing(tested: StoreUnderTest) -> None:
    first, second = trial(1, tested.now_ms), trial(2, tested.now_ms)
    tested.store.add_trials("default", [first, first])
    assert tested.store.add_trials("default", [first]) == PolicyChange(0, 1)
    assert tested.store.add_trials("default", [first, second]) == PolicyChange(1, 2)
    assert [policy.cells[POLL].trials for policy in tested.versions("default")] == [1, 2]


def test_tenants_have_policies_of_their_own(tested: StoreUnderTest) -> None:
    for tenant in ("default", "acme"):
        assert tested.store.add_trials(tenant, [trial(1, tested.now_ms)]) == PolicyChange(1, 1)
    assert len(tested.versions("default")) == len(tested.versions("acme")) == 1


def test_no_trials_are_no_version(tested: StoreUnderTest) -> None:
    assert tested.store.add_trials("default", []) == PolicyChange(0, 0)
    assert [*tested.versions("default")] == []


@pytest.fixture
def store(client: redis.Redis, server: ValkeyServer) -> Iterator[RedisPolicyStore]:
    del client
    with closing(RedisPolicyStore(server.url, take_ownership(server.url))) as store:
        yield store


def test_sums_beyond_what_a_float_can_count_stay_exact(
    client: redis.Redis, store: RedisPolicyStore
) -> None:
    big = 2**62 + 1
    for name in ("trials", "before", "after", "before_squared", "before_after", "after_squared"):
        client.hset("conductor:policy:sums", f"{POLL}:{name}", str(big))
    client.hset("conductor:policy:sums", "version", 2**60 + 1)
    store.add_trials("default", [trial(1, now_ms(client), before=1, after=3)])
    [policy] = versions(client)
    assert policy == Policy(
        2**60 + 2, {POLL: CellSums(big + 1, big + 1, big + 3, big + 1, big + 3, big + 9)}
    )


def test_trials_in_any_order_and_any_batches_give_the_same_policy(
    client: redis.Redis, store: RedisPolicyStore
) -> None:
    trials = [
        trial(n, now_ms(client), before=n * 7919 % 10**6, after=n * 104_729 % 10**6)
        for n in range(60)
    ]
    for first in range(0, 60, 7):
        store.add_trials("acme", trials[first : first + 7])
    store.add_trials("globex", trials[::-1])
    one, other = versions(client, "acme:")[-1], versions(client, "globex:")[-1]
    assert one.cells == other.cells
    assert one.cells[POLL].trials == 60


def test_trials_are_forgotten_after_30_days_and_not_added_again(
    client: redis.Redis, store: RedisPolicyStore
) -> None:
    now = now_ms(client)
    client.zadd("conductor:policy:trials", {"old": now - 30 * DAYS_MS - 1000})
    late = trial(1, now - 30 * DAYS_MS - 1000)
    assert store.add_trials("default", [late, trial(2, now)]) == PolicyChange(1, 1)
    assert client.zrange("conductor:policy:trials", 0, -1) == [b"trial 2"]


def test_a_version_that_was_not_made_known_is_by_the_next_call(
    client: redis.Redis, store: RedisPolicyStore
) -> None:
    client.set("conductor:policy", "taken")
    with pytest.raises(ConfigError, match="taken by something else"):
        store.add_trials("default", [trial(1, now_ms(client))])
    client.delete("conductor:policy")
    assert store.add_trials("default", [trial(1, now_ms(client))]) == PolicyChange(0, 1)
    assert [policy.cells[POLL].trials for policy in versions(client)] == [1]


def test_old_versions_are_trimmed(
    client: redis.Redis, store: RedisPolicyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy_store, "POLICY_VERSIONS", 100)
    for number in range(300):
        store.add_trials("default", [trial(number, now_ms(client))])
    assert 100 <= client.xlen("conductor:policy") <= 200
    assert versions(client)[-1].version == 300


def test_another_token_adds_nothing(client: redis.Redis, server: ValkeyServer) -> None:
    with closing(RedisPolicyStore(server.url, take_ownership(server.url, 7))) as store:
        take_ownership(server.url, 8)
        with pytest.raises(OwnershipLost):
            store.add_trials("default", [trial(1, now_ms(client))])
    assert client.keys("*policy*") == []


@pytest.mark.parametrize(
    "missing", ["+zadd", "+hincrby", "+hgetall", "+zremrangebyscore", "~*:conductor:policy*"]
)
def test_a_missing_grant_is_a_config_error_with_the_grants(
    client: redis.Redis, server: ValkeyServer, missing: str
) -> None:
    rules = [rule for rule in granted_rules() if rule != missing]
    assert len(rules) < len(granted_rules())
    fence = take_ownership(server.url)
    with (
        acl_user(client, *rules),
        closing(RedisPolicyStore(as_user(server.url), fence)) as store,
        pytest.raises(ConfigError, match=r"^REDIS_URL: .*grant it, as in: "),
    ):
        store.add_trials("acme", [trial(1, now_ms(client))])


def test_a_namespace_stands_before_every_key(client: redis.Redis, server: ValkeyServer) -> None:
    url = with_namespace(server.url, "staging")
    with closing(RedisPolicyStore(url, take_ownership(url))) as store:
        store.add_trials("acme", [trial(1, now_ms(client))])
    assert {*client.keys("*")} == {
        b"staging:conductor:fence",
        b"staging:acme:conductor:policy",
        b"staging:acme:conductor:policy:sums",
        b"staging:acme:conductor:policy:trials",
    }

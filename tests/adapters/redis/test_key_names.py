from conductor_actors.adapters.redis.key_names import OWNER_KEY, key_of
from conductor_actors.domain.shards import SINGLE_SHARD, all_shards


def test_a_collector_without_others_has_the_plain_keys_and_a_shard_its_own() -> None:
    assert key_of(SINGLE_SHARD, OWNER_KEY) == OWNER_KEY == "conductor:owner"
    assert [key_of(shard, OWNER_KEY) for shard in all_shards(2)] == [
        "conductor:owner:0-of-2",
        "conductor:owner:1-of-2",
    ]

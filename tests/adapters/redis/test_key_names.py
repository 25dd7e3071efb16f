from conductor_actors.adapters.redis.key_names import OWNER_KEY, key_of
from conductor_actors.domain.partitions.partition import Partition


def test_a_partition_has_keys_of_its_own_under_its_hash_tag() -> None:
    assert key_of(None, OWNER_KEY) == OWNER_KEY == "conductor:owner"
    assert key_of(Partition(7, 64), OWNER_KEY) == "conductor:owner:{7}"

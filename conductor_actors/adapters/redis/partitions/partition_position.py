"""The position of a partition's reader, as checkpoints store it."""

from typing import Final

import msgspec

from conductor_actors.domain.merging import Frontier
from conductor_actors.domain.partitions.blocks import FIRST


class PartitionPosition(msgspec.Struct, frozen=True, array_like=True):
    """Every entry before `frontier` was read, and no block up to the id `after` is needed again."""

    frontier: Frontier = FIRST
    after: bytes = b"0-0"


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(PartitionPosition).decode


def encode_position(position: PartitionPosition) -> bytes:
    """Return a position as bytes."""
    return _encode(position)


def decode_position(data: bytes) -> PartitionPosition:
    """Return the position that was encoded; raise `msgspec.DecodeError` if it can't be read."""
    return _decode(data)

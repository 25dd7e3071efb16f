"""What a checkpoint stores of a detector: all of it, and as earlier versions stored it."""

from typing import Final, NamedTuple

import msgspec
import pytest

from conductor_actors.domain.anomalies.baseline import Baseline
from conductor_actors.domain.anomalies.bin import Bin
from conductor_actors.domain.anomalies.detector import Detector, OpenAnomaly, unpack_detector
from conductor_actors.domain.anomalies.drops import Drops
from conductor_actors.domain.anomalies.evidence import Evidence
from conductor_actors.domain.anomalies.exits import Exits
from conductor_actors.domain.anomalies.low_engagement import LowEngagement
from conductor_actors.domain.anomalies.packed_detector import (
    PackedAnomaly,
    PackedBaseline,
    PackedBin,
    PackedDetector,
    PackedDrops,
    PackedEvidence,
    PackedExits,
    PackedLowEngagement,
    PackedStream,
)
from conductor_actors.domain.anomalies.stream import Stream
from tests.support.attributes import attributes_of

AT_MS: Final = 1_767_528_600_000
STREAMS: Final = [[0.9, 1.1, 1.5, 4], [0.5, 0.25, 0.75, 2.0]]
BINS: Final = [[AT_MS - 5000, 5, 4, 2, 20, 1, 9, 612], [AT_MS, 5, 0, 0, 20, 1, 9, 580]]
BASELINE: Final = [*STREAMS, 96, 11.5, 0.6, 0.01, 20.0, 19.5, 1.0, BINS, 4, 2, 10]
DROPS: Final = [[3.5, AT_MS - 5000, 1, 7.5], [0.0, AT_MS - 90_000, 0, 0.0]]
EXITS: Final = [[[AT_MS - 20_000, 2, 1]], 7, 3, AT_MS - 20_000, AT_MS - 300_000, AT_MS - 400_000]
LOW: Final = [0.07, AT_MS - 15_000, 120, False]
ANOMALY: Final = ["d1", "MASS_EXIT", AT_MS - 30_000, "9 of 20 left."]
KNOWING: Final = [
    *(AT_MS, AT_MS - 600_000, 12, True, 22, AT_MS - 100_000),
    *(BASELINE, DROPS, EXITS, LOW, ANOMALY, False, True),
]


def decoded(stored: object) -> PackedDetector:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(stored), type=PackedDetector)


def test_a_detector_is_read_as_it_was_stored_before_its_classes_were_compiled() -> None:
    packed = decoded(KNOWING)
    detector = unpack_detector(packed)
    assert detector.pack() == detector.copy().pack() == packed
    assert msgspec.json.encode(packed) == msgspec.json.encode(decoded(KNOWING))
    assert detector.baseline is not None
    assert detector.baseline.chat.dispersion == 1.5 / 1.1


def test_a_copy_is_independent() -> None:
    detector = unpack_detector(decoded(KNOWING))
    copy = detector.copy()
    assert copy.baseline is not None
    assert copy.exits is not None
    copy.baseline.forget_bins()
    copy.exits.count(AT_MS + 5000, 9, 3)
    copy.low.ticks += 1
    assert detector.pack() == decoded(KNOWING)


def test_a_detector_that_knows_little_has_little() -> None:
    detector = unpack_detector(decoded([AT_MS, AT_MS]))
    assert (detector.baseline, detector.drops, detector.exits, detector.anomaly) == (None,) * 4
    assert detector.pack() == Detector(AT_MS, AT_MS).pack() == PackedDetector(AT_MS, AT_MS)


@pytest.mark.parametrize(
    ("kept", "packed", "derived"),
    [
        (Stream, PackedStream, {"dispersion"}),
        (Bin, PackedBin, set()),
        (Baseline, PackedBaseline, set()),
        (Evidence, PackedEvidence, set()),
        (Drops, PackedDrops, set()),
        (Exits, PackedExits, set()),
        (LowEngagement, PackedLowEngagement, set()),
        (OpenAnomaly, PackedAnomaly, set()),
        (Detector, PackedDetector, set()),
    ],
)
def test_everything_that_a_detector_knows_is_stored(
    kept: type, packed: type[NamedTuple], derived: set[str]
) -> None:
    assert attributes_of(kept) - derived == {*packed._fields}

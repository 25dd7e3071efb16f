"""The detector of the service on a few sessions: as good as its bars, or nearly, and cheap."""

from functools import cache
from typing import Final

import msgspec

from conductor_actors.domain.replayer import Replayer
from tests.detector.corpus.corpus import KINDS, session
from tests.detector.detectors import RULES, product, replayed
from tests.detector.judge import Verdict, judge, recall
from tests.detector.report import EXIT, HIGH, LOW, MEDIUM, chosen

SEED: Final = 50  # neither for choosing parameters nor for the report
SESSIONS: Final = 3 * len(KINDS)
MAX_STATE_BYTES: Final = 1024


@cache
def verdict() -> Verdict:
    total = Verdict()
    for number in range(SESSIONS):
        seen = replayed(session(SEED, number))
        total += judge(seen.session, product(seen))
    return total


def test_most_incidents_with_much_activity_are_found_in_time() -> None:
    for group, within_s in ((HIGH, 15), (MEDIUM, 60), (EXIT, 60), (LOW, 120)):
        share = recall(chosen(verdict(), group), within_s)
        assert share is not None
        assert share >= 0.8, group.name


def test_false_alarms_and_duplicates_are_rare() -> None:
    assert verdict().clean_false_alarms <= verdict().clean_hours / 10 * 3
    assert verdict().duplicates() <= 0.05


def test_the_state_of_a_busy_detector_has_at_most_1_kb() -> None:
    replayer = Replayer(RULES, lambda _: None)
    for number in (2, 3, 16, 27):
        replayer.run(session(1, number).entries)
    detectors = [each.detector for each in replayer._sessions.values()]
    sizes = [len(msgspec.msgpack.encode(each.pack())) for each in detectors if each]
    assert 200 < max(sizes) <= MAX_STATE_BYTES


def test_the_same_entries_give_the_same_anomalies() -> None:
    made = session(SEED, 1)
    assert replayed(made, RULES).rows == replayed(made).rows

"""The corpus: the same by seed, taken whole by the service, and true to its labels."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Final

import pytest

from conductor_actors.domain.replayer import Replayer
from tests.detector.corpus.corpus import KINDS, session
from tests.detector.corpus.formats import FORMATS
from tests.detector.corpus.labels import Incident, LabelledSession
from tests.detector.detectors import RULES, replayed

SEED: Final = 7
NUMBERS: Final = range(2 * len(KINDS))
MINUTE_MS: Final = 60_000


@cache
def made(number: int) -> LabelledSession:
    return session(SEED, number)


def labelled(kind: str) -> Iterator[tuple[LabelledSession, Incident]]:
    """Return the incidents of a type, with their sessions."""
    for number in NUMBERS:
        for incident in made(number).incidents:
            if incident.type == kind:
                yield made(number), incident


def per_min(times_ms: Sequence[int], begin_ms: int, end_ms: int) -> float:
    count = bisect_left(times_ms, end_ms) - bisect_left(times_ms, begin_ms)
    return count * MINUTE_MS / (end_ms - begin_ms)


def connected(of: LabelledSession, at_ms: int) -> int:
    """Return how many users are connected, as they joined and left."""
    connections: Counter[str] = Counter()
    for ms, _, _, body in of.entries:
        if ms >= at_ms:
            break
        user_id = body.decode().rpartition('"userId":"')[2].removesuffix('"}')
        if b"user_join" in body:
            connections[user_id] += 1
        elif b"user_leave" in body:
            connections[user_id] = max(0, connections[user_id] - 1)
    return len(+connections)


def test_a_session_is_the_same_whenever_it_is_made() -> None:
    assert session(SEED, 1) == made(1)
    assert session(SEED + 1, 1) != made(1)


@pytest.mark.parametrize("number", NUMBERS)
def test_the_service_accepts_every_entry(number: int) -> None:
    summary = Replayer(RULES, lambda _: None).run(made(number).entries)
    assert (summary.invalid, summary.failed) == (Counter(), 0)


def test_formats_reach_from_five_people_to_two_thousand() -> None:
    assert min(each.people[0] for each in FORMATS) == 5
    assert max(each.people[1] for each in FORMATS) == 2000
    assert len({made(number).format for number in NUMBERS}) >= 6


def test_few_people_write_most() -> None:
    large = max((made(number) for number in NUMBERS), key=lambda each: each.people)
    writers = Counter(
        body.partition(b'"authorId":"')[2]
        for _, _, name, body in large.entries
        if name.startswith("platform.events.chat")
    )
    few = [count for _, count in writers.most_common(large.people // 10)]
    assert sum(few) > 0.4 * writers.total()


def test_activity_stops_from_the_onset_of_a_total_drop_to_its_end() -> None:
    seen = [each for each in labelled("SUDDEN_DROP") if each[1].is_total]
    assert len(seen) >= 5
    for of, drop in seen:
        during = per_min(of.activity_ms, drop.onset_ms, drop.end_ms)
        assert during <= 0.15 * drop.rate_per_min


def test_a_partial_drop_leaves_some_activity() -> None:
    shares = [
        per_min(of.activity_ms, drop.onset_ms, drop.end_ms) / drop.rate_per_min
        for of, drop in labelled("SUDDEN_DROP")
        if not drop.is_total and drop.rate_per_min >= 20
    ]
    assert shares
    assert all(0.02 < share < 0.5 for share in shares)


def test_a_decline_takes_minutes() -> None:
    seen = [each for each in labelled("GRADUAL_DECLINE") if each[1].rate_per_min >= 20]
    assert seen
    for of, decline in seen:
        first = per_min(of.activity_ms, decline.onset_ms, decline.onset_ms + MINUTE_MS)
        last = per_min(of.activity_ms, decline.end_ms - 2 * MINUTE_MS, decline.end_ms)
        assert last < 0.5 * decline.rate_per_min
        assert last < 0.5 * first


def test_in_a_mass_exit_at_least_four_people_and_15_percent_leave_within_a_minute() -> None:
    seen = list(labelled("MASS_EXIT"))
    assert len(seen) >= 4
    for of, leaving in seen:
        before = connected(of, leaving.onset_ms)
        gone = before - connected(of, leaving.onset_ms + MINUTE_MS)
        assert gone >= 4
        assert gone >= 0.15 * before


def test_the_score_of_a_low_start_stays_low() -> None:
    seen = list(labelled("LOW_ENGAGEMENT"))
    assert seen
    for of, low in seen:
        rows = [row for row in replayed(of).rows if low.onset_ms <= row.at_ms < low.end_ms]
        assert sum(row.score for row in rows) / len(rows) <= 0.08
        assert rows[-1].signals.total_users >= 10


def test_a_clean_session_has_no_incident_and_every_second_session_is_clean() -> None:
    kinds = [KINDS[number % len(KINDS)] for number in NUMBERS]
    for number, kind in zip(NUMBERS, kinds, strict=True):
        assert (kind == "clean") == (not made(number).incidents)
    assert 0.4 <= kinds.count("clean") / len(kinds) <= 0.6

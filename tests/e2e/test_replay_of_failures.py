"""A replay leaves out what a handler raises on, as the service does."""

from collections.abc import Sequence

import pytest

from conductor_actors.domain.entries import Entry
from conductor_actors.domain.events import DECODERS
from conductor_actors.domain.replayer import Replayer, Rules
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.settings import Settings
from tests.app.collector_run import CollectorRun, pack, split_into_reads
from tests.domain.test_replayer import curse, decode_poison
from tests.support.event_samples import REACTION, VOTE
from tests.support.score_rows import AT_MS


def with_poison(entries: Sequence[Entry]) -> list[Entry]:
    bad: list[Entry] = [(AT_MS + at_ms, 9, "poison", b"a") for at_ms in (0, 12_000)]
    return sorted([*entries, *bad])


def test_a_replay_leaves_out_what_the_service_leaves_out_and_gives_its_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(DECODERS, "poison", decode_poison)
    curse(monkeypatch, AT_MS + 10_000)
    vote: Entry = (AT_MS, 1, VOTE, b'{"sessionId":"b","pollId":"p","userId":"u"}')
    reactions: list[Entry] = [
        (AT_MS + 700 * number, 0, REACTION, b'{"sessionId":"%c"}' % b"abc"[number % 3])
        for number in range(40)
    ]
    entries = with_poison([vote, *reactions])
    run = CollectorRun(split_into_reads(entries, 7))
    settings, rows = Settings(), list[ScoreRow]()
    rules = Rules(settings.intake_rules(), settings.session_rules(), settings.scoring())
    summary = Replayer(rules, rows.extend).run(entries)
    assert run.run_to_end() == pack(rows)
    assert summary.failed == len(run.dead_letters.letters) == 3

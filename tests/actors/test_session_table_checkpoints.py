"""What a checkpoint of the sessions contains, and how they continue from it."""

from conductor_actors.actors.messages import AllSnapshotsTaken, SnapshotTaken
from conductor_actors.actors.session_table import DirtySet, SessionTable
from conductor_actors.domain.checkpoints.encoding import decode_state
from conductor_actors.domain.draft import apply_events
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.intake import EventsBySession
from conductor_actors.domain.session_rules import SessionRules
from conductor_actors.domain.session_state import SessionState
from tests.actors.pooled_handlers import BlockedThread
from tests.actors.session_events import chat, chats, poison
from tests.actors.session_harness import (
    KEY,
    OVER_MS,
    TIMEOUT_S,
    SessionHarness,
    batch,
    begin_checkpoint,
    passivate,
    tick,
)
from tests.support.fakes.recording_mailbox import RecordingMailbox
from tests.support.score_rows import AT_MS


def read_states(answers: RecordingMailbox) -> dict[SessionKey, bytes]:
    """Return the states of a complete checkpoint, whose end is reported once, and last."""
    assert isinstance(answers.messages[-1], AllSnapshotsTaken)
    assert len(answers.of(AllSnapshotsTaken)) == 1
    return {each.key: each.state for each in answers.of(SnapshotTaken)}


def test_the_first_checkpoint_has_every_session_and_the_next_those_that_changed(
    sessions: SessionHarness, session_table: SessionTable
) -> None:
    session_table.deliver(EventsBySession({KEY: chats(2), ("acme", "s"): [chat(7)]}))
    whole, answers = begin_checkpoint(session_table)
    sessions.settle()
    assert (whole.number, whole.is_full) == (1, True)
    assert set(read_states(answers)) == {KEY, SessionKey("acme", "s")}
    session_table.dirty.mark_committed(1)
    session_table.deliver(batch([chat(3)]))
    session_table.broadcast(tick(AT_MS + 5000))  # changes nothing
    second, answers = begin_checkpoint(session_table)
    sessions.settle()
    assert (second.number, second.is_full) == (2, False)
    assert decode_state(read_states(answers)[KEY], "s", SessionRules()).chats.total == 3
    assert set(read_states(answers)) == {KEY}


def test_the_contents_of_an_uncommitted_checkpoint_are_in_the_next_one(
    sessions: SessionHarness, session_table: SessionTable
) -> None:
    session_table.deliver(batch(chats(1), "silent"))
    begin_checkpoint(session_table)
    session_table.dirty.mark_committed(1)
    session_table.deliver(
        EventsBySession({KEY: [chat(1, OVER_MS - 1)], ("acme", "s"): [chat(7, OVER_MS)]})
    )
    passivate(sessions, session_table, OVER_MS)
    lost, _ = begin_checkpoint(session_table)
    session_table.deliver(batch([chat(2, OVER_MS)], "new"))
    session_table.dirty.mark_committed(lost.number - 1)  # of the one before
    again, answers = begin_checkpoint(session_table)
    sessions.settle()
    assert again.ended == lost.ended == {SessionKey("default", "silent")}
    assert (
        set(read_states(answers)) == again.changed == {*lost.changed, SessionKey("default", "new")}
    )


def test_a_session_that_began_anew_is_not_removed_from_the_checkpoint(
    sessions: SessionHarness, session_table: SessionTable
) -> None:
    session_table.deliver(batch(chats(3)))
    begin_checkpoint(session_table)
    passivate(sessions, session_table, OVER_MS)
    session_table.deliver(batch([chat(7, OVER_MS)]))
    session_table.dirty.mark_committed(1)
    contents, answers = begin_checkpoint(session_table)
    sessions.settle()
    assert contents.ended == frozenset()
    assert decode_state(read_states(answers)[KEY], "s", SessionRules()).chats.total == 1


def test_the_next_checkpoint_is_full_if_the_stored_one_is_lost(
    sessions: SessionHarness, session_table: SessionTable
) -> None:
    session_table.deliver(EventsBySession({KEY: chats(1), ("acme", "s"): [chat(7)]}))
    begin_checkpoint(session_table)
    session_table.dirty.mark_committed(1)
    session_table.dirty.require_full()
    contents, answers = begin_checkpoint(session_table)
    sessions.settle()
    assert contents.is_full
    assert len(read_states(answers)) == 2


def test_a_checkpoint_ends_after_the_rows_of_changed_and_unchanged_sessions(
    sessions: SessionHarness, session_table: SessionTable
) -> None:
    """Otherwise it would be ahead of a row: a start from it would not compute that again."""
    session_table.deliver(
        EventsBySession({(tenant, "s"): [chat(1, OVER_MS - 1)] for tenant in "abc"})
    )
    session_table.deliver(batch(chats(1), "leaving"))
    sessions.settle()
    begin_checkpoint(session_table)
    sessions.settle()
    session_table.dirty.mark_committed(1)
    session_table.passivate(OVER_MS)
    sessions.settle()
    blocked = BlockedThread(sessions.dispatcher)
    session_table.broadcast(tick(OVER_MS - 1000))
    session_table.passivate(OVER_MS)
    session_table.deliver(EventsBySession({("a", "s"): [chat(2, OVER_MS)]}))
    contents = session_table.begin_checkpoint()
    session_table.request_snapshots(
        contents, sessions.writer, 0.0
    )  # so that their order can be seen
    blocked.release()
    sessions.settle()
    assert contents.changed == {("a", "s")}
    assert sessions.writer.messages[-1] == AllSnapshotsTaken(2)
    assert len(sessions.rows()) == 4


def test_the_supervisor_sends_the_snapshot_of_a_session_in_quarantine(
    sessions: SessionHarness, session_table: SessionTable
) -> None:
    for _ in range(4):
        session_table.deliver(batch([chat(), poison()]))
        sessions.settle()
        session_table.broadcast(tick(AT_MS + 5000))
        sessions.settle()
    session_table.deliver(batch(chats(1), "neighbour"))
    _, answers = begin_checkpoint(session_table)
    sessions.settle()
    states = read_states(answers)
    assert set(states) == {KEY, SessionKey("default", "neighbour")}
    assert decode_state(states[KEY], "s", SessionRules()).chats.total == 1
    session_table.dirty.mark_committed(1)
    _, answers = begin_checkpoint(session_table)
    sessions.settle()
    assert read_states(answers) == {}


def test_the_supervisor_sends_the_snapshot_that_a_new_quarantine_refuses(
    sessions: SessionHarness, session_table: SessionTable
) -> None:
    for _ in range(3):
        session_table.deliver(batch([chat(), poison()]))
        sessions.settle()
    blocked = BlockedThread(sessions.dispatcher)
    session_table.deliver(batch([poison()]))
    _, answers = begin_checkpoint(session_table)
    blocked.release()
    sessions.settle()
    assert sessions.supervisor.quarantined == 1
    assert set(read_states(answers)) == {KEY}


def test_a_checkpoint_without_sessions_ends_at_once(session_table: SessionTable) -> None:
    _, answers = begin_checkpoint(session_table)
    assert read_states(answers) == {}


def test_sessions_continue_from_their_state_in_the_checkpoint(sessions: SessionHarness) -> None:
    dirty = DirtySet(7, ended=[SessionKey("default", "over")])
    session_table = SessionTable(sessions.dispatcher, sessions.supervisor_mailbox, TIMEOUT_S, dirty)
    session_table.restore({KEY: apply_events(SessionState("s", SessionRules()), chats(3))})
    session_table.deliver(batch([chat(7)]))
    session_table.broadcast(tick(AT_MS + 5000))
    contents, answers = begin_checkpoint(session_table)
    sessions.settle()
    assert [row.signals.chat_msgs_per_min for row in sessions.rows()] == [4]
    assert (contents.number, contents.is_full) == (8, False)
    assert contents.ended == {SessionKey("default", "over")}
    assert set(read_states(answers)) == {KEY}
    passivate(sessions, session_table, OVER_MS)
    assert len(session_table) == 0

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conductor_actors.domain.polls import VOTE_TIMEOUT_MS, Poll

WINDOW_MS = 60_000
VOTERS = ("ada", "bob", None)


def poll(*voters: str | None, connected: int = 0) -> Poll:
    fresh = Poll("lunch", connected, 0)
    for voter in voters:
        fresh.vote(voter, 0)
    return fresh


def participation(of: Poll) -> float:
    return of.participation()


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 5),
    st.lists(
        st.tuples(st.just("vote"), st.sampled_from(VOTERS))
        | st.tuples(st.just("connected"), st.integers(0, 9))
        | st.tuples(st.just("close"), st.none())
    ),
)
def test_participation_agrees_with_a_count_over_the_whole_poll(
    connected: int, steps: list[tuple[str, str | int | None]]
) -> None:
    subject = poll("ada", connected=connected)
    voters: list[str | int | None] = ["ada"]
    crowds, is_open = [connected], True
    for step, detail in steps:
        if step == "vote":
            subject.vote(None if detail is None else str(detail), 0)
            voters.append(detail)
        elif step == "close":
            subject.close(0)
            is_open = False
        else:
            subject.update_connected(int(detail or 0))
            crowds += [int(detail or 0)] * is_open
    voted = len(set(voters) - {None}) + voters.count(None)
    assert participation(subject) == voted / max(voted, *crowds)


def test_a_voter_counts_once_and_a_vote_without_a_user_is_one_more() -> None:
    assert participation(poll("ada", "ada", None, None, connected=6)) == 3 / 6


def test_more_voters_than_connected_is_full_participation() -> None:
    assert participation(poll("ada", "bob", connected=1)) == 1


def test_a_user_who_connects_after_the_close_does_not_count() -> None:
    subject = poll("ada", connected=2)
    subject.close(0)
    subject.update_connected(9)
    assert participation(subject) == 1 / 2


def test_a_poll_is_open_until_one_window_after_its_first_close() -> None:
    subject = poll("ada")
    subject.close(1000)
    subject.close(9000)
    assert subject.is_open_at(1000 + WINDOW_MS - 1, WINDOW_MS)
    assert not subject.is_open_at(1000 + WINDOW_MS, WINDOW_MS)


def test_a_poll_is_open_until_five_minutes_have_passed_without_a_vote() -> None:
    subject = poll("ada")
    assert VOTE_TIMEOUT_MS == 300_000
    assert subject.is_open_at(299_999, WINDOW_MS)
    assert not subject.is_open_at(300_000, WINDOW_MS)
    subject.vote("bob", 299_999)
    assert subject.is_open_at(599_998, WINDOW_MS)


@pytest.mark.parametrize("connected", [0, 9])
def test_a_copy_of_a_poll_is_independent(connected: int) -> None:
    subject = poll("ada", connected=2)
    subject.commit()
    copy = subject.copy()
    copy.vote("bob", 0)
    copy.update_connected(connected)
    copy.close(0)
    copy.commit()
    assert (participation(subject), subject.closed_ms, subject.voters) == (
        1 / 2,
        None,
        {"ada": None},
    )


def test_a_draft_of_a_poll_changes_it_only_once_it_is_committed() -> None:
    subject = poll("ada", connected=2)
    subject.commit()
    draft = subject.draft()
    draft.vote("ada", 1)
    draft.vote("bob", 1)
    draft.update_connected(4)
    assert (participation(subject), participation(draft)) == (1 / 2, 2 / 4)
    draft.commit()
    assert (draft.peak_connected, draft.last_vote_ms) == (4, 1)
    assert (draft.voters, draft.new_voters) == ({"ada": None, "bob": None}, {})

from bisect import bisect_left
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conductor_actors.domain.windows import CountWindow, PresenceWindow, RepeatWindow

gaps_ms = st.one_of(st.just(0), st.integers(0, 1500), st.integers(0, 3).map((1000).__mul__))
long_gaps_ms = gaps_ms | st.integers(0, 20_000)
keys = st.sampled_from("abcd")


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 12), st.lists(st.lists(long_gaps_ms, max_size=8)))
def test_a_count_window_agrees_with_a_list(length_s: int, batches: list[list[int]]) -> None:
    window, moments, now_ms = CountWindow(length_s), list[int](), 0
    for gaps in batches:
        added = list(accumulate(gaps, initial=now_ms))[1:]
        if added:
            window.add(added)
        moments += added
        now_ms = added[-1] if added else now_ms
        now_ms += 1000 - now_ms % 1000  # a tick comes before the events of its moment
        window.expire(now_ms)
        assert window.total == len(moments) - bisect_left(moments, now_ms - length_s * 1000)
        assert len(window.counts or ()) <= length_s


def test_a_count_window_includes_its_first_second_and_nothing_before_it() -> None:
    window = CountWindow(3)
    window.add([5999])
    window.expire(8000)
    assert window.total == 1
    window.expire(9000)
    assert window.total == 0


def test_a_copy_of_a_count_window_is_independent() -> None:
    window = CountWindow(3)
    window.add([1000])
    copy = window.copy()
    copy.add([2000])
    copy.expire(60_000)
    window.expire(4000)
    assert (window.total, copy.total) == (1, 0)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(gaps_ms, keys, st.sampled_from(("came", "update", "tick")))))
def test_a_repeat_window_agrees_with_a_search(
    steps: list[tuple[int, str, str]],
) -> None:
    window, first, now_ms, new = RepeatWindow(3000), dict[str, int](), 0, dict[str, int]()
    for gap_ms, key, step in steps:
        now_ms += gap_ms
        if step == "came":
            is_repeat = key in first and now_ms - first[key] < 3000
            assert window.is_repeat(key, now_ms, new) == is_repeat
            if not is_repeat:
                first[key] = now_ms
            continue
        window.update(new)
        new = {}
        if step == "tick":
            window.expire(now_ms)
            first = {k: at_ms for k, at_ms in first.items() if at_ms >= now_ms - 3000}
        assert window.times_ms == first
        assert [*window.times_ms.values()] == sorted(first.values())


def test_a_key_is_a_repeat_within_less_than_the_length_after_it_came_first() -> None:
    window, new = RepeatWindow(3000, {"ada": 1000}), dict[str, int]()
    assert window.is_repeat("ada", 3999, new)
    assert not window.is_repeat("ada", 4000, new)
    assert not window.is_repeat("bob", 4000, new)
    assert new == {"ada": 4000, "bob": 4000}


def test_a_window_knows_new_keys_only_once_it_is_updated() -> None:
    window, new = RepeatWindow(3000), dict[str, int]()
    window.is_repeat("ada", 1000, new)
    assert window.times_ms == {}
    assert not window.is_repeat("ada", 2000, {})
    window.update(new)
    assert window.times_ms == {"ada": 1000}


def test_a_key_that_came_again_expires_by_its_latest_first_time() -> None:
    window, new = RepeatWindow(3000, {"ada": 1000, "bob": 2000}), dict[str, int]()
    window.is_repeat("ada", 4000, new)
    window.update(new)
    window.expire(6000)
    assert window.times_ms == {"ada": 4000}


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(gaps_ms, keys, st.booleans())))
def test_a_presence_window_agrees_with_a_search(
    steps: list[tuple[int, str, bool]],
) -> None:
    window, seen, now_ms = PresenceWindow(3000), dict[str, int](), 0
    for gap_ms, key, is_tick in steps:
        now_ms += gap_ms
        if is_tick:
            expired = {k for k, at_ms in seen.items() if at_ms < now_ms - 3000}
            assert {*window.expire(now_ms)} == expired
            seen = {k: at_ms for k, at_ms in seen.items() if k not in expired}
        else:
            window.add(key, now_ms)
            seen[key] = now_ms
        assert window.times_ms == seen
        assert [*window.times_ms.values()] == sorted(seen.values())


@pytest.mark.parametrize("kind", [RepeatWindow, PresenceWindow])
def test_a_copy_of_a_window_is_independent(kind: type[RepeatWindow | PresenceWindow]) -> None:
    window = kind(3000, {"ada": 1000})
    copy = window.copy()
    copy.times_ms["bob"] = 2000
    window.expire(4001)
    assert (window.times_ms, copy.times_ms) == ({}, {"ada": 1000, "bob": 2000})


def test_an_empty_count_window_has_no_counts() -> None:
    window = CountWindow(3)
    assert window.counts is None
    window.add([1000])
    window.expire(5000)
    assert (window.counts, window.total) == (None, 0)
    window.add([6000])
    assert window.total == 1

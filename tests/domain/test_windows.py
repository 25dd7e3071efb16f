from bisect import bisect_left

from hypothesis import given, settings
from hypothesis import strategies as st

from conductor_actors.domain.windows import CountWindow, RecencyWindow

gaps_ms = st.one_of(st.just(0), st.integers(0, 1500), st.integers(0, 3).map((1000).__mul__))
long_gaps_ms = gaps_ms | st.integers(0, 20_000)
keys = st.sampled_from("abcd")


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 12), st.lists(st.tuples(long_gaps_ms, st.booleans())))
def test_a_count_window_counts_what_a_list_would(
    length_s: int, steps: list[tuple[int, bool]]
) -> None:
    window, moments, now_ms = CountWindow(length_s), list[int](), 0
    for gap_ms, is_tick in steps:
        now_ms += gap_ms
        if is_tick:
            now_ms += 1000 - now_ms % 1000  # a tick comes before the events of its moment
            window.expire(now_ms)
            assert window.total == len(moments) - bisect_left(moments, now_ms - length_s * 1000)
        else:
            window.add(now_ms)
            moments.append(now_ms)
        assert len(window.counts) <= length_s


def test_a_count_window_holds_its_first_second_and_then_lets_go() -> None:
    window = CountWindow(3)
    window.add(5999)
    window.expire(8000)
    assert window.total == 1
    window.expire(9000)
    assert window.total == 0


def test_a_copied_count_window_goes_its_own_way() -> None:
    window = CountWindow(3)
    window.add(1000)
    copy = window.copy()
    copy.add(2000)
    copy.expire(60_000)
    window.expire(4000)
    assert (window.total, copy.total) == (1, 0)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(gaps_ms, keys, st.sampled_from(("touch", "forget", "expire")))))
def test_a_recency_window_remembers_what_a_search_would_find(
    steps: list[tuple[int, str, str]],
) -> None:
    window, touched, now_ms = RecencyWindow(3000), dict[str, int](), 0
    for gap_ms, key, step in steps:
        now_ms += gap_ms
        match step:
            case "touch":
                window.touch(key, now_ms)
                touched[key] = now_ms
            case "forget":
                window.forget(key)
                touched.pop(key, None)
            case _:
                window.expire(now_ms)
                touched = {k: at_ms for k, at_ms in touched.items() if at_ms >= now_ms - 3000}
                assert window.moments == touched
        assert window.holds(key, now_ms) == (key in touched and now_ms - touched[key] < 3000)


def test_a_recency_window_holds_a_key_for_less_than_its_length() -> None:
    window = RecencyWindow(3000)
    window.touch("ada", 1000)
    assert window.holds("ada", 3999)
    assert not window.holds("ada", 4000)
    assert not window.holds("bob", 1000)


def test_a_copied_recency_window_goes_its_own_way() -> None:
    window = RecencyWindow(3000)
    window.touch("ada", 1000)
    copy = window.copy()
    copy.forget("ada")
    copy.touch("bob", 1000)
    assert (list(window.moments), list(copy.moments)) == (["ada"], ["bob"])

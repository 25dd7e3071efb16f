"""What each key changes in the view."""

import pytest

from conductor_actors.commands.inspect.screen_view import MAX_TENANT_CHARS, ScreenView
from tests.commands.inspect.sample_lines import report_of, row, sessions

REPORT = report_of(sessions(row("acme/a"), row("acme/b"), row("globex/c")))


def press(*keys: str, view: ScreenView | None = None) -> ScreenView:
    view = view or ScreenView()
    for key in keys:
        view = view.after(key, REPORT)
    return view


@pytest.mark.parametrize(
    ("key", "order"),
    [("d", "depth"), ("r", "rate"), ("h", "handling"), ("o", "oldest"), ("n", "name")],
)
def test_a_letter_selects_the_order_and_moves_to_the_first_row(key: str, order: str) -> None:
    view = press("down", key)
    assert (view.selection.order, view.cursor) == (order, 0)


def test_the_cursor_stays_on_a_row() -> None:
    assert press("up").cursor == 0
    many_down = press(*["down"] * 10)
    assert press("f", view=many_down).followed == ("globex", "c")
    assert press("up", "f", view=many_down).followed == ("acme", "b")


def test_f_follows_the_session_under_the_cursor_and_then_returns() -> None:
    view = press("down", "f")
    assert view.followed == ("acme", "b")
    assert press("f", view=view).followed is None
    assert press("escape", view=view).followed is None
    assert ScreenView().after("f", report_of()).followed is None


def test_letters_are_text_while_a_tenant_is_typed() -> None:
    view = press("t", *"qdx", "backspace", "up")
    assert (view.typed, view.is_over, view.selection.tenant) == ("qd", False, None)
    chosen = press("enter", view=view)
    assert (chosen.typed, chosen.selection.tenant) == (None, "qd")
    assert press("t", "a", "escape", view=chosen).selection.tenant == "qd"
    assert press("t", "enter", view=chosen).selection.tenant is None
    assert len(press("t", *"a" * 100).typed or "") == MAX_TENANT_CHARS


def test_q_quits_and_other_keys_do_nothing() -> None:
    assert press("q").is_over
    assert press("x", "7", " ", "backspace") == ScreenView()

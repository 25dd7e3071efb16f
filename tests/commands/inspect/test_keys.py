"""Keys as terminals send them, and what each does to the view."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor_actors.commands.inspect.view import LONGEST_NAME, View
from conductor_actors.commands.terminal import Keyboard, keys_of
from tests.commands.inspect.said import report_of, row, sessions
from tests.support.terminal import terminal_of

REPORT = report_of(sessions(row("acme/a"), row("acme/b"), row("globex/c")))


@pytest.mark.parametrize(
    ("typed", "keys"),
    [
        (b"dq", ["d", "q"]),
        (b"\x1b[A\x1b[B\x1bOA\x1bOB", ["up", "down", "up", "down"]),
        (b"\x1b", ["escape"]),
        (b"\r\n\x7f\x08", ["enter", "enter", "backspace", "backspace"]),
        (b"a\x1b[5~\x1b[1;5Cb\x00\x07c", ["a", "b", "c"]),
        ("ü".encode(), ["ü"]),
        (b"\x1b[", []),
        (b"\xff", []),
    ],
)
def test_keys_have_names_and_what_has_none_is_passed_over(typed: bytes, keys: list[str]) -> None:
    assert keys_of(typed) == keys


@given(st.binary(max_size=40))
def test_whatever_is_typed_gives_names_and_printable_characters(typed: bytes) -> None:
    for key in keys_of(typed):
        assert key in ("up", "down", "enter", "escape", "backspace") or key.isprintable()


def test_without_a_terminal_nobody_presses_anything() -> None:
    assert Keyboard(None).read(0) == ()


def test_a_key_is_heard_as_it_is_pressed_and_the_terminal_is_left_as_it_was() -> None:
    code = (
        "from conductor_actors.commands.terminal import keyboard\n"
        "with keyboard() as keys:\n"
        "    print('ready')\n"
        "    print('heard', *keys.read(10))\n"
    )
    with terminal_of(code) as screen:
        screen.wait_for("ready")
        screen.press("r")
        screen.wait_for("heard r")
        assert screen.ended() == 0
        assert screen.modes_now() == screen.modes


def pressed(*keys: str, view: View | None = None) -> View:
    view = view or View()
    for key in keys:
        view = view.after(key, REPORT)
    return view


@pytest.mark.parametrize(
    ("key", "order"),
    [("d", "depth"), ("r", "rate"), ("h", "handling"), ("o", "oldest"), ("n", "name")],
)
def test_a_letter_chooses_the_order_and_goes_back_to_the_first_row(key: str, order: str) -> None:
    view = pressed("down", key)
    assert (view.choice.order, view.cursor) == (order, 0)


def test_the_cursor_stays_on_a_row() -> None:
    assert pressed("up").cursor == 0
    many_down = pressed(*["down"] * 10)
    assert pressed("f", view=many_down).followed == ("globex", "c")
    assert pressed("up", "f", view=many_down).followed == ("acme", "b")


def test_f_follows_the_session_under_the_cursor_and_goes_back() -> None:
    view = pressed("down", "f")
    assert view.followed == ("acme", "b")
    assert pressed("f", view=view).followed is None
    assert pressed("escape", view=view).followed is None
    assert View().after("f", report_of()).followed is None


def test_a_tenants_name_is_typed_though_its_letters_are_keys() -> None:
    view = pressed("t", *"qdx", "backspace", "up")
    assert (view.typed, view.is_over, view.choice.tenant) == ("qd", False, None)
    chosen = pressed("enter", view=view)
    assert (chosen.typed, chosen.choice.tenant) == (None, "qd")
    assert pressed("t", "a", "escape", view=chosen).choice.tenant == "qd"
    assert pressed("t", "enter", view=chosen).choice.tenant is None
    assert len(pressed("t", *"a" * 100).typed or "") == LONGEST_NAME


def test_q_ends_it_and_other_keys_do_nothing() -> None:
    assert pressed("q").is_over
    assert pressed("x", "7", " ", "backspace") == View()

"""Text for a terminal, and keys from it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor_actors.commands.terminal import (
    Keyboard,
    duration,
    parse_keys,
    printable,
    rate,
    share,
    span,
)
from tests.support.terminal import python_terminal


@given(st.text())
def test_whatever_a_text_holds_its_printable_form_moves_no_cursor(text: str) -> None:
    assert printable(text).isprintable()
    assert printable(text) == text or not text.isprintable()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2Jtalk", r"\x1b[2Jtalk"),
        ("a\nb", r"a\nb"),
        ("\u202eabc", r"\u202eabc"),
        ("\ud800", r"\ud800"),
        ("día 1 [red]", "día 1 [red]"),
    ],
)
def test_what_is_not_printable_is_shown_as_an_escape(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (rate(None), "-"),
        (rate(0.04), "0.0"),
        (rate(12_345.6), "12,346"),
        (share(0.004), "0.4%"),
        (share(0.0), "0%"),
        (share(2.5), "250%"),
        (duration(0.0421), "42 ms"),
        (duration(59.94), "59.9 s"),
        (duration(3600), "3,600 s"),
        (duration(-0.2), "-200 ms"),
        (span(59), "59 s"),
        (span(3599), "59 min 59 s"),
        (span(90_000), "1 d 1 h"),
    ],
)
def test_figures_are_formatted_for_people(text: str, expected: str) -> None:
    assert text == expected


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
def test_keys_have_names_and_other_sequences_are_ignored(typed: bytes, keys: list[str]) -> None:
    assert parse_keys(typed) == keys


@given(st.binary(max_size=40))
def test_any_input_gives_only_names_and_printable_characters(typed: bytes) -> None:
    for key in parse_keys(typed):
        assert key in ("up", "down", "enter", "escape", "backspace") or key.isprintable()


def test_without_a_terminal_there_are_no_keys() -> None:
    assert Keyboard(None).read(0) == ()


def test_a_key_is_read_when_it_is_pressed_and_the_terminal_is_restored() -> None:
    code = (
        "from conductor_actors.commands.terminal import keyboard\n"
        "with keyboard() as keys:\n"
        "    print('ready')\n"
        "    print('pressed', *keys.read(10))\n"
    )
    with python_terminal(code) as screen:
        screen.wait_for("ready")
        screen.press("r")
        screen.wait_for("pressed r")
        assert screen.wait() == 0
        assert screen.current_modes() == screen.modes

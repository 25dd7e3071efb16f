import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor_actors.commands.terminal import printable


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

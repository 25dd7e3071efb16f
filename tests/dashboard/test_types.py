from tests.dashboard.typescript import FILE, declarations


def test_types_d_ts_says_what_the_python_types_say() -> None:
    assert FILE.read_text(encoding="utf-8") == declarations(), (
        "run python -m tests.dashboard.typescript"
    )

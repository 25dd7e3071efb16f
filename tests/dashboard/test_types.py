from tests.dashboard.typescript import FILE, declarations


def test_types_d_ts_is_made_from_the_python_types() -> None:
    assert FILE.read_text(encoding="utf-8") == declarations(), (
        "run python -m tests.dashboard.typescript"
    )

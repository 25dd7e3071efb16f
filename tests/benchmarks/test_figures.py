from tests.benchmarks.figures import RATIO, Figure, Target, table


def test_a_ratio_is_one_of_medians_and_beside_it_stands_that_of_the_least() -> None:
    figure = Figure("event", "µs", (2.0, 9.0, 6.0), (1.0, 3.0, 2.0), Target(3, RATIO))
    assert (figure.ratio, figure.ratio_of_least) == (3.0, 2.0)
    assert figure.verdict == "met"


def test_a_verdict_says_by_how_much_a_target_is_missed() -> None:
    assert Figure("tick", "s", (3.0,), target=Target(1.5, "s")).verdict == "missed by 2.00 x"
    at_least = Target(1.6, RATIO, is_least=True)
    assert Figure("shards", "/s", (1.2,), (1.5,), at_least).verdict == "missed by 2.00 x"
    assert Figure("shards", "/s", (3.0,), (1.5,), at_least).verdict == "met"


def test_a_target_in_seconds_is_held_against_the_value_even_beside_a_limit() -> None:
    assert Figure("tick", "s", (1.0,), (0.1,), Target(1.5, "s")).verdict == "met"


def test_what_was_not_measured_has_a_line_that_says_why() -> None:
    figure = Figure("shards", note="no --shards yet")
    assert figure.cells() == ("shards", "", "", "", "", "not measured", "no --shards yet")
    assert "no --shards yet" in table([figure])
    assert figure.document()["verdict"] == "not measured"

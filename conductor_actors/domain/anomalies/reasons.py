"""The reason of an anomaly: one plain sentence with its figures."""


def of_drop(seen: int, expected: float, for_s: int, people: int | None) -> str:
    """Return the reason of a sudden drop or a gradual decline."""
    return f"{_events(seen)} in the last {_duration(for_s)}, where {_expected(expected, people)}."


def of_mass_exit(left: int, of: int, within_s: int, returned: int) -> str:
    """Return the reason of a mass exit: so many of those who were there have left."""
    back = "none of them came back" if not returned else f"{returned} came back"
    return f"{left} of {of} people left within {_duration(within_s)}, and {back}."


def of_low_engagement(score: float, for_s: int, people: int) -> str:
    """Return the reason of low engagement."""
    return (
        f"The score has stayed at {score:.2f} for {_duration(for_s)}, "
        f"while {people} people were present."
    )


def _events(count: int) -> str:
    if count == 0:
        return "No message, vote or reaction"
    if count == 1:
        return "1 message, vote or reaction"
    return f"{count} messages, votes and reactions"


def _expected(expected: float, people: int | None) -> str:
    count = max(1, round(expected))
    verb = "was" if count == 1 else "were"
    text = f"{count} {verb} expected"
    return text if people is None else f"{text} from {people} people"


def _duration(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    if not minutes:
        return f"{rest} s"
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"

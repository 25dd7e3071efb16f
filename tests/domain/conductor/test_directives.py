"""Directives: the last of each kind holds for a tenant."""

from conductor_actors.domain.conductor import directives
from conductor_actors.domain.conductor.directives import (
    MAX_EVENT_MODES,
    Directives,
    EventModeSet,
    PolicyLearnt,
    TemplatesSet,
    decode_policy,
)
from conductor_actors.domain.conductor.policy import CellSums, Policy


def test_the_last_policy_holds_also_after_all_was_forgotten() -> None:
    learnt = Directives().after(PolicyLearnt(1, Policy(57)))
    assert learnt.policy.version == 57
    assert learnt.after(PolicyLearnt(2, Policy(1))).policy.version == 1


def test_a_policy_is_read_with_sums_that_no_float_could_hold() -> None:
    sums = [1, 2, 3, 4, 5, 2**62 + 1]
    _, found = decode_policy(b'{"version":3,"cells":{"POLL:MASS_EXIT":%a}}' % (sums,), 1)
    assert found == PolicyLearnt(1, Policy(3, {"POLL:MASS_EXIT": CellSums(*sums)}))


def test_the_texts_of_a_tenant_are_replaced_as_a_whole() -> None:
    first = Directives().after(TemplatesSet(1, {"BROADCAST": {"message": "One"}}))
    second = first.after(TemplatesSet(2, {"POLL": {"poll": {}}}))
    assert second.templates == {"POLL": {"poll": {}}}


def test_each_event_has_its_last_mode_until_it_is_taken_back() -> None:
    found = Directives()
    for event_id, mode in (("a", "OFF"), ("b", "AUTO"), ("a", "MANUAL")):
        found = found.after(EventModeSet(1, event_id, mode))  # type: ignore[arg-type]
    assert found.modes == {"a": "MANUAL", "b": "AUTO"}
    assert found.after(EventModeSet(2, "a", None)).modes == {"b": "AUTO"}


def test_the_mode_that_was_set_longest_ago_makes_room() -> None:
    modes = {str(number): "OFF" for number in range(MAX_EVENT_MODES)}
    full = Directives(modes=modes)  # type: ignore[arg-type]
    again = full.after(EventModeSet(1, "0", "AUTO")).after(EventModeSet(2, "new", "AUTO"))
    assert len(again.modes) == MAX_EVENT_MODES
    assert "1" not in again.modes
    assert again.modes.keys() >= {"0", "new"}


def test_what_held_before_is_not_changed() -> None:
    before = directives.DEFAULT_DIRECTIVES
    before.after(EventModeSet(1, "a", "OFF"))
    assert before == Directives()

"""Simulates the people of one session: they join, chat, vote, react and leave as its scene says."""

from collections.abc import Callable
from math import ceil, exp
from random import Random
from typing import Final, NamedTuple

from conductor_actors.simulate.producer import (
    Person,
    SentEvent,
    SimulatedPoll,
    SimulatedProducer,
    random_id,
)
from conductor_actors.simulate.programme import Scene, Script
from conductor_actors.simulate.responses import RESPONSES, PlatformAction, Response

_TIME_CONSTANT_S: Final = 4.0  # 63% of the people who are to join, leave or vote do so within it

_NAMES: Final = ("Ada", "Grace", "Linus", "Barbara", "Niklaus", "Margaret", "Ken", "Radia")
_SURNAMES: Final = ("Okafor", "Lindqvist", "Moreau", "Tanaka", "Silva", "Novák", "Öz", "Nguyễn")
_TEXTS: Final = (
    "hello from Lisbon 👋",
    "is there a recording?",
    "great point",
    "could you show that again?",
    "¿se puede repetir?",
    "the link on slide 12 is broken",
    "we do the same, with half the servers",
    'he said "never again" \\o/',
)
_REPLIES: Final = ("+1", "same here", "👍", "yes!", "good question", "😂😂")


class _OpenPoll(NamedTuple):
    poll: SimulatedPoll
    turnout: float
    closes_at_s: float | None = None  # None: with the scene


class _ActiveResponse(NamedTuple):
    until_s: float
    response: Response


class Audience:
    """The people of one session, whose behaviour follows its script, and responds to actions."""

    def __init__(self, script: Script, producer: SimulatedProducer, rng: Random) -> None:
        self.script = script
        self._producer = producer
        self._rng = rng
        people_rng = Random(script.session_id)  # noqa: S311 - no secret; the same people each time
        self._absent = [_new_person(people_rng) for _ in range(script.people)]
        self._present: list[Person] = []
        self._scene: Scene | None = None
        self._poll: _OpenPoll | None = None
        self._responses: list[_ActiveResponse] = []
        self._repaired_at_s: float | None = None
        self._began_at_s: float | None = None
        self._skipped_s = 0.0  # of the script
        self._at_s = self._dt_s = 0.0

    def step(self, at_s: float, dt_s: float) -> list[SentEvent]:
        """Simulate `[at_s, at_s + dt_s)`; return the events that arrive in it."""
        self._at_s, self._dt_s = at_s, dt_s
        scene = self._enter_scene()
        self._adjust_attendance(scene.present)
        if self._present:
            self._vote()
            self._repeat(scene.chats, self._chat)
            self._repeat(scene.reactions, self._react)
            self._repeat(3, self._do_something_else)
            self._respond()
        return self._producer.pop_arrived(at_s + dt_s)

    def disconnect(self, at_s: float) -> None:
        """Send that everybody leaves whom an earlier simulation of the session let join."""
        for person in self._absent:
            for _ in range(person.devices):
                self._producer.send_presence(at_s, "user_leave", person)

    def skip(self, length_s: float) -> None:
        """Skip a part of the script."""
        self._skipped_s += length_s

    def carry_out(self, action: PlatformAction, at_s: float) -> None:
        """Respond to an action from `at_s` on, with the effects of its type."""
        response = RESPONSES[action.kind]
        self._responses.append(_ActiveResponse(at_s + response.length_s, response))
        is_repairable = self._scene is not None and self._scene.is_repairable
        if is_repairable and response.repairs_after_s is not None:
            self._repaired_at_s = at_s + response.repairs_after_s
        if action.options:
            poll = SimulatedPoll(
                self._producer.new_id(), set(), action.question, tuple(action.options)
            )
            self._close_poll(at_s)
            self._open_poll(at_s, _OpenPoll(poll, response.turnout, at_s + action.poll_s))

    def _enter_scene(self) -> Scene:
        if self._began_at_s is None:
            self._began_at_s = self._at_s
        self._repair()
        scene = self.script.scene_at(self._elapsed_s)
        if scene is not self._scene:
            self._scene = scene
            self._change_poll(scene)
        if self._poll and self._poll.closes_at_s and self._at_s >= self._poll.closes_at_s:
            self._close_poll(self._at_s)
        return scene

    @property
    def _elapsed_s(self) -> float:
        return self._at_s - (self._began_at_s or 0.0) + self._skipped_s

    def _repair(self) -> None:
        """Skip the rest of a scene that the host has ended."""
        if self._repaired_at_s is None or self._at_s < self._repaired_at_s:
            return
        self._repaired_at_s = None
        if self.script.scene_at(self._elapsed_s).is_repairable:
            self._skipped_s += self.script.left_s(self._elapsed_s)

    def _change_poll(self, scene: Scene) -> None:
        """Open the poll of a scene, and close that of the one before; that of an action stays."""
        if self._poll and self._poll.closes_at_s:
            return
        self._close_poll(self._at_s)
        if scene.turnout:
            poll = SimulatedPoll(self._producer.new_id(), set())
            self._open_poll(self._at_s, _OpenPoll(poll, scene.turnout))

    def _open_poll(self, at_s: float, opened: _OpenPoll) -> None:
        self._poll = opened
        self._producer.send_poll_opened(at_s, opened.poll)

    def _close_poll(self, at_s: float) -> None:
        if self._poll:
            self._producer.send_poll_closed(at_s, self._poll.poll)
        self._poll = None

    def _respond(self) -> None:
        if not self._responses:
            return
        self._responses = [each for each in self._responses if self._at_s < each.until_s]
        for _, response in self._responses:
            self._repeat(response.chats, self._chat)
            self._repeat(response.reactions, self._react)

    def _adjust_attendance(self, share: float) -> None:
        """Move people in or out until this share is present; besides, a few always leave."""
        missing = share * self.script.people - len(self._present)
        for _ in range(self._count_in_step(missing)):
            self._join()
        for _ in range(self._count_in_step(-missing)):
            self._leave()
        self._repeat(2, self._leave)

    def _join(self) -> None:
        person = self._pop_random(self._absent)
        self._present.append(person)
        at_s = self._time_in_step()
        if self._rng.random() < 0.05:  # a leave of an earlier visit, or out of order
            self._producer.send_presence(at_s, "user_leave", person)
        for device in range(person.devices):
            self._producer.send_presence(at_s + 0.1 + 2 * device, "user_join", person)

    def _leave(self) -> None:
        if not self._present:
            return
        person = self._pop_random(self._present)
        self._absent.append(person)
        is_repeated = self._rng.random() < 0.05
        for _ in range(person.devices + is_repeated):
            self._producer.send_presence(self._time_in_step(), "user_leave", person)

    def _vote(self) -> None:
        if self._poll is None:
            return
        poll, turnout, _ = self._poll
        undecided = [person for person in self._present if person not in poll.voters]
        missing = len(undecided) - (1 - turnout) * len(self._present)
        for person in self._rng.sample(undecided, self._count_in_step(missing)):
            poll.voters.add(person)
            self._producer.send_vote(self._time_in_step(), poll, person)
            if self._rng.random() < 0.05:  # changes their mind
                self._producer.send_vote(self._time_in_step() + 1, poll, person)

    def _chat(self) -> None:
        """Send a message of one person, and sometimes replies of others."""
        at_s = self._time_in_step()
        self._producer.send_chat(at_s, self._anyone(), self._rng.choice(_TEXTS))
        if self._rng.random() < 0.1:
            for _ in range(self._rng.randint(2, 5)):
                at_s += self._rng.random()
                self._producer.send_chat(at_s, self._anyone(), self._rng.choice(_REPLIES))

    def _react(self) -> None:
        self._producer.send_reaction(self._time_in_step(), self._anyone())

    def _do_something_else(self) -> None:
        match self._rng.randrange(3):
            case 0:
                question = {"id": self._producer.new_id(), "text": "why?", "status": "approved"}
                self._producer.send_resource(self._time_in_step(), "QUESTION", question)
            case 1:
                message = {"id": self._producer.new_id(), "text": "coffee?"}
                self._producer.send_resource(self._time_in_step(), "DIRECT_MESSAGE", message)
            case _:
                self._producer.send_presence_update(self._time_in_step(), self._anyone())

    def _anyone(self) -> Person:
        return self._rng.choice(self._present)

    def _pop_random(self, people: list[Person]) -> Person:
        return people.pop(self._rng.randrange(len(people)))

    def _time_in_step(self) -> float:
        return self._at_s + self._rng.random() * self._dt_s

    def _repeat(self, per_min: float, action: Callable[[], None]) -> None:
        """Perform the action at this rate; a fraction of one is performed at random."""
        for _ in range(int(per_min * self._dt_s / 60 + self._rng.random())):
            action()

    def _count_in_step(self, remaining: float) -> int:
        """Return how many of the remaining people join, leave or vote in this step."""
        if remaining <= 0:
            return 0
        expected = remaining * (1 - exp(-self._dt_s / _TIME_CONSTANT_S))
        return min(int(expected + self._rng.random()), ceil(remaining))


def _new_person(rng: Random) -> Person:
    devices = 2 if rng.random() < 0.15 else 1
    name, surname = rng.choice(_NAMES), rng.choice(_SURNAMES)
    return Person(random_id(rng), name, surname, devices)

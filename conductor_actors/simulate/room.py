"""What people do in one session: come, talk, vote, react and go, as its scene wants it."""

from collections.abc import Callable
from math import ceil, exp
from random import Random
from typing import Final

from conductor_actors.simulate.programme import Scene, Script
from conductor_actors.simulate.wire import Person, Sent, SimulatedPoll, Wire

_PACE_S: Final = 4.0  # two thirds of those who should come, go or vote do so within this time

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


class Room:
    """Move the people of one session from scene to scene."""

    def __init__(self, script: Script, wire: Wire, chance: Random) -> None:
        self._script = script
        self._wire = wire
        self._chance = chance
        self._outside = [self._person() for _ in range(script.people)]
        self._inside: list[Person] = []
        self._scene: Scene | None = None
        self._poll: SimulatedPoll | None = None
        self._begun_at_s: float | None = None
        self._at_s = self._dt_s = 0.0

    def step(self, at_s: float, dt_s: float) -> list[Sent]:
        """Do what happens in `[at_s, at_s + dt_s)` and give what arrives in it."""
        self._at_s, self._dt_s = at_s, dt_s
        scene = self._go_to_scene()
        self._gather(scene.present)
        if self._inside:
            self._decide(scene.turnout)
            self._often(scene.chats, self._discuss)
            self._often(scene.reactions, self._react)
            self._often(3, self._mind_other_things)
        return self._wire.arrived(at_s + dt_s)

    def _go_to_scene(self) -> Scene:
        if self._begun_at_s is None:
            self._begun_at_s = self._at_s
        scene = self._script.scene_at(self._at_s - self._begun_at_s)
        if scene is not self._scene:
            self._scene = scene
            self._change_poll(scene)
        return scene

    def _change_poll(self, scene: Scene) -> None:
        if self._poll:
            self._wire.poll_closed(self._at_s, self._poll)
        self._poll = SimulatedPoll(self._wire.new_id(), set()) if scene.turnout else None
        if self._poll:
            self._wire.poll_opened(self._at_s, self._poll)

    def _gather(self, share: float) -> None:
        """Move people in or out until that share of them is in; a few always come and go."""
        missing = share * self._script.people - len(self._inside)
        for _ in range(self._made_up(missing)):
            self._join()
        for _ in range(self._made_up(-missing)):
            self._leave()
        self._often(2, self._leave)

    def _join(self) -> None:
        person = self._take(self._outside)
        self._inside.append(person)
        at_s = self._soon()
        if self._chance.random() < 0.05:  # the leave of an earlier visit, or one too early
            self._wire.presence(at_s, "user_leave", person)
        for device in range(person.devices):
            self._wire.presence(at_s + 0.1 + 2 * device, "user_join", person)

    def _leave(self) -> None:
        if not self._inside:
            return
        person = self._take(self._inside)
        self._outside.append(person)
        doubled = self._chance.random() < 0.05
        for _ in range(person.devices + doubled):
            self._wire.presence(self._soon(), "user_leave", person)

    def _decide(self, turnout: float) -> None:
        poll = self._poll
        if poll is None:
            return
        undecided = [person for person in self._inside if person not in poll.voters]
        missing = len(undecided) - (1 - turnout) * len(self._inside)
        for person in self._chance.sample(undecided, self._made_up(missing)):
            poll.voters.add(person)
            self._wire.vote(self._soon(), poll, person)
            if self._chance.random() < 0.05:  # changes their mind
                self._wire.vote(self._soon() + 1, poll, person)

    def _discuss(self) -> None:
        """Make one person write a message; now and then others join in."""
        at_s = self._soon()
        self._wire.chat(at_s, self._somebody(), self._chance.choice(_TEXTS))
        if self._chance.random() < 0.1:
            for _ in range(self._chance.randint(2, 5)):
                at_s += self._chance.random()
                self._wire.chat(at_s, self._somebody(), self._chance.choice(_REPLIES))

    def _react(self) -> None:
        self._wire.reaction(self._soon(), self._somebody())

    def _mind_other_things(self) -> None:
        match self._chance.randrange(3):
            case 0:
                question = {"id": self._wire.new_id(), "text": "why?", "status": "approved"}
                self._wire.resource(self._soon(), "QUESTION", question)
            case 1:
                message = {"id": self._wire.new_id(), "text": "coffee?"}
                self._wire.resource(self._soon(), "DIRECT_MESSAGE", message)
            case _:
                self._wire.presence_update(self._soon(), self._somebody())

    def _person(self) -> Person:
        devices = 2 if self._chance.random() < 0.15 else 1
        name, surname = self._chance.choice(_NAMES), self._chance.choice(_SURNAMES)
        return Person(self._wire.new_id(), name, surname, devices)

    def _somebody(self) -> Person:
        return self._chance.choice(self._inside)

    def _take(self, people: list[Person]) -> Person:
        return people.pop(self._chance.randrange(len(people)))

    def _soon(self) -> float:
        return self._at_s + self._chance.random() * self._dt_s

    def _often(self, per_min: float, act: Callable[[], None]) -> None:
        """Act at that rate: chance decides about fractions."""
        for _ in range(int(per_min * self._dt_s / 60 + self._chance.random())):
            act()

    def _made_up(self, missing: float) -> int:
        """Return how many of the missing people come in this step."""
        if missing <= 0:
            return 0
        expected = missing * (1 - exp(-self._dt_s / _PACE_S))
        return min(int(expected + self._chance.random()), ceil(missing))

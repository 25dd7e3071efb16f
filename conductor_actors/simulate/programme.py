"""The sessions that are played: their ids, their people and their arcs."""

from typing import Final, NamedTuple


class Scene(NamedTuple):
    """A part of a session: the share of its people who are in, and what they do per minute."""

    length_s: float
    present: float
    chats: float
    reactions: float = 0
    turnout: float = 0  # above 0: a poll runs through the scene, and this share of them votes


class Script(NamedTuple):
    """A session: its id, how many people it has, and its arc, which repeats."""

    session_id: str
    people: int
    arc: tuple[Scene, ...]

    def scene_at(self, into_s: float) -> Scene:
        """Return the scene at so many seconds after the beginning."""
        left_s = into_s % sum(scene.length_s for scene in self.arc)
        for scene in self.arc:
            if left_s < scene.length_s:
                return scene
            left_s -= scene.length_s
        return self.arc[-1]


_LIVELY: Final = (
    Scene(20, 0.9, 100, 80, 0.85),
    Scene(30, 1.0, 170, 160),
    Scene(25, 1.0, 120, 90, 0.9),
    Scene(25, 0.9, 140, 120, 0.7),
)
_STEADY: Final = (
    Scene(25, 0.8, 10, 5),
    Scene(30, 0.9, 18, 5, 0.5),
    Scene(45, 0.9, 5, 1),
)
_FADING: Final = (
    Scene(20, 0.9, 30, 10),
    Scene(25, 0.8, 8, 1),
    Scene(90, 0.6, 1),
    Scene(20, 0.8, 20, 6, 0.5),
)
_EXODUS: Final = (
    Scene(28, 1.0, 50, 20, 0.5),
    Scene(95, 0.1, 2),
    Scene(40, 0.7, 30, 12),
)
_WAVES: Final = (
    Scene(15, 0.8, 8, 2),
    Scene(20, 0.9, 60, 50),
    Scene(60, 0.7, 1),
    Scene(25, 1.0, 80, 70),
)
_QUIET: Final = (
    Scene(40, 0.8, 3, 1),
    Scene(30, 0.9, 7, 3),
    Scene(20, 0.8, 2, 0, 0.3),
)

_PROGRAMME: Final = (
    Script("keynote-opening", 90, _LIVELY),
    Script("panel-open-data", 60, _WAVES),
    Script("workshop-databases", 35, _STEADY),
    Script("class-statistics", 40, _FADING),
    Script("town-hall-budget", 70, _EXODUS),
    Script("fireside-chat", 25, _QUIET),
    Script("lightning-talks", 45, _WAVES[1:] + _WAVES[:1]),
    Script("product-demo", 30, _STEADY[1:] + _STEADY[:1]),
    Script("networking-lounge", 20, _QUIET[1:] + _QUIET[:1]),
    Script("class-writing", 25, _STEADY),
    Script("panel-remote-work", 40, _FADING),
    Script("closing-ceremony", 60, _LIVELY[1:] + _LIVELY[:1]),
)


def script(index: int) -> Script:
    """Return the session with this index; after the last one the programme repeats."""
    run, position = divmod(index, len(_PROGRAMME))
    first = _PROGRAMME[position]
    return first._replace(session_id=f"{first.session_id}-{run + 1}") if run else first

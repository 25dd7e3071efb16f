"""The sessions that are simulated: their ids, their audiences and their scenes."""

from typing import Final, NamedTuple


class Scene(NamedTuple):
    """A part of a session: the share of people who are present, and their actions per minute."""

    length_s: float
    present: float
    chats: float
    reactions: float = 0
    turnout: float = (
        0  # above 0: a poll is open during the scene, and this share of those present votes
    )


class Script(NamedTuple):
    """A session: its id, the number of its people, and its scenes, which repeat."""

    session_id: str
    people: int
    scenes: tuple[Scene, ...]

    def scene_at(self, elapsed_s: float) -> Scene:
        """Return the scene at this time since the session began."""
        left_s = elapsed_s % sum(scene.length_s for scene in self.scenes)
        for scene in self.scenes:
            if left_s < scene.length_s:
                return scene
            left_s -= scene.length_s
        return self.scenes[-1]


_LIVELY: Final = (
    Scene(20, 0.9, 100, 80, 0.85),
    Scene(30, 1.0, 170, 160),
    Scene(25, 1.0, 120, 90, 0.9),
    Scene(25, 0.9, 140, 120, 0.7),
)
_STEADY: Final = (
    Scene(25, 0.86, 10, 5),
    Scene(30, 0.9, 18, 5, 0.5),
    Scene(45, 0.9, 5, 1),
)
_FADING: Final = (
    Scene(20, 0.9, 20, 4),
    Scene(25, 0.86, 7, 1),
    Scene(90, 0.84, 2),
    Scene(20, 0.88, 9, 2, 0.5),
)
# Nobody can hear the speaker, every four minutes.
_SOUND_FAILS: Final = (
    Scene(100, 0.95, 90, 60),
    Scene(55, 0.98, 0),
    Scene(85, 0.98, 100, 70),
)
_EXODUS: Final = (
    Scene(110, 1.0, 60, 60),
    Scene(75, 0.35, 40, 36),
    Scene(115, 0.95, 58, 58),
)
_WAVES: Final = (
    Scene(15, 0.92, 30, 12),
    Scene(20, 0.95, 60, 50),
    Scene(60, 0.92, 25, 9),
    Scene(25, 0.98, 80, 70),
)
_QUIET: Final = (
    Scene(40, 0.85, 3, 1),
    Scene(30, 0.9, 7, 3),
    Scene(20, 0.85, 2, 0, 0.3),
)

_PROGRAMME: Final = (
    Script("keynote-opening", 90, _LIVELY),
    Script("panel-open-data", 60, _SOUND_FAILS),
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


def script_at(index: int) -> Script:
    """Return the session at this index; after the last session the programme repeats."""
    repeats, position = divmod(index, len(_PROGRAMME))
    script = _PROGRAMME[position]
    if not repeats:
        return script
    return script._replace(session_id=f"{script.session_id}-{repeats + 1}")

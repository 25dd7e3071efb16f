"""The sessions that are simulated: their ids and titles, their audiences and their scenes."""

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
    is_repairable: bool = False  # whether the host can end it, who has to notice it first


class Script(NamedTuple):
    """A session: its id, the number of its people, its scenes, which repeat, and its title."""

    session_id: str
    people: int
    scenes: tuple[Scene, ...]
    title: str
    speakers: tuple[str, ...] = ()

    def scene_at(self, elapsed_s: float) -> Scene:
        """Return the scene at this time since the session began."""
        return self._find(elapsed_s)[0]

    def left_s(self, elapsed_s: float) -> float:
        """Return for how long the scene at this time goes on."""
        return self._find(elapsed_s)[1]

    def _find(self, elapsed_s: float) -> tuple[Scene, float]:
        past_s = elapsed_s % sum(scene.length_s for scene in self.scenes)
        for scene in self.scenes:
            if past_s < scene.length_s:
                return scene, scene.length_s - past_s
            past_s -= scene.length_s
        return self.scenes[-1], 0.0


# Nobody can hear the speaker, until the host notices it or it works again by itself.
_SOUND_FAILS: Final = Scene(110, 0.98, 0, is_repairable=True)

# A demo begins after 300 s of these. From then on an incident begins about once a minute, each time
# in another session: after 10, 45, 80, 110, 190 and 270 s, and again later.
_LIVELY: Final = (
    Scene(20, 0.9, 100, 80, 0.85),
    Scene(30, 1.0, 170, 160),
    Scene(25, 1.0, 120, 90, 0.9),
    Scene(25, 0.9, 140, 120, 0.7),
)
_LIVELY_UNTIL_SOUND_FAILS: Final = (*_LIVELY * 5, Scene(70, 1.0, 130, 90), _SOUND_FAILS)
_DISCUSSING: Final = (
    Scene(100, 0.95, 90, 60),
    Scene(210, 0.98, 100, 70),
    _SOUND_FAILS,
    Scene(10, 0.98, 90, 60),
)
_WORKING: Final = (
    Scene(25, 0.86, 16, 5),
    Scene(30, 0.9, 22, 5, 0.5),
    Scene(435, 0.9, 32, 4),
    _SOUND_FAILS,
    Scene(30, 0.9, 40, 6),
)
_FADING: Final = (
    Scene(20, 0.9, 20, 4),
    Scene(25, 0.86, 7, 1),
    Scene(90, 0.84, 1),
    Scene(20, 0.88, 9, 2, 0.5),
)
_EXODUS: Final = (
    Scene(110, 1.0, 60, 60),
    Scene(75, 0.35, 40, 36),
    Scene(115, 0.95, 58, 58),
)
_TALKING: Final = (
    Scene(20, 0.95, 60, 50, 0.6),
    Scene(325, 0.92, 48, 30),
    _SOUND_FAILS,
    Scene(25, 0.98, 60, 40),
)
_SHOWING: Final = (
    Scene(30, 0.9, 20, 5, 0.5),
    Scene(45, 0.9, 20, 3),
    Scene(305, 0.9, 45, 6),
    _SOUND_FAILS,
    Scene(20, 0.9, 50, 8),
)
_STEADY: Final = (
    Scene(25, 0.86, 10, 5),
    Scene(30, 0.9, 18, 5, 0.5),
    Scene(45, 0.9, 5, 1),
)
_QUIET: Final = (
    Scene(40, 0.85, 3, 1),
    Scene(30, 0.9, 7, 3),
    Scene(20, 0.85, 2, 0, 0.3),
)

_PROGRAMME: Final = (
    Script(
        "keynote-opening", 90, _LIVELY_UNTIL_SOUND_FAILS, "The Opening Keynote", ("Amara Okafor",)
    ),
    Script(
        "panel-open-data",
        60,
        _DISCUSSING,
        "Who Owns Open Data?",
        ("Elin Lindqvist", "Jules Moreau"),
    ),
    Script("workshop-databases", 35, _WORKING, "Databases by Hand", ("Kenji Tanaka",)),
    Script("class-statistics", 40, _FADING, "Statistics Without Tears", ("Beatriz Silva",)),
    Script("town-hall-budget", 70, _EXODUS, "Town Hall: Next Year's Budget"),
    Script("fireside-chat", 25, _QUIET, "Fireside Chat: Thirty Years of the Web", ("Tomáš Novák",)),
    Script("lightning-talks", 45, _TALKING, "Lightning Talks"),
    Script("product-demo", 30, _SHOWING, "What Is New This Summer", ("Deniz Öz",)),
    Script("networking-lounge", 20, _QUIET[1:] + _QUIET[:1], "Networking Lounge"),
    Script("class-writing", 25, _STEADY, "Writing That People Read", ("Linh Nguyễn",)),
    Script(
        "panel-remote-work",
        40,
        _FADING,
        "Remote Work, Five Years On",
        ("Amara Okafor", "Kenji Tanaka"),
    ),
    Script("closing-ceremony", 60, _LIVELY[1:] + _LIVELY[:1], "The Closing Ceremony"),
)


class EarlierScript(NamedTuple):
    """A session that has ended: when it began before now, and how long it took."""

    began_before_s: float
    length_s: float
    script: Script


_PEOPLE_LEAVE: Final = Scene(120, 0, 0)

# Each ended half an hour ago or earlier, after which no more rows follow. The scenes do not repeat.
EARLIER: Final = (
    EarlierScript(
        12_600,
        1920,
        Script(
            "opening-remarks",
            80,
            (*_LIVELY * 3, Scene(600, 1, 70, 40), Scene(900, 0.9, 40, 20), _PEOPLE_LEAVE),
            "Opening Remarks",
            ("Amara Okafor",),
        ),
    ),
    EarlierScript(
        10_200,
        3420,
        Script(
            "tutorial-streams",
            30,
            (
                *(Scene(900, 0.9, 35, 6), Scene(60, 0.9, 30, 5, 0.7), Scene(1140, 0.9, 32, 4)),
                *(_SOUND_FAILS, Scene(150, 0.6, 20, 2), Scene(940, 0.75, 38, 8), _PEOPLE_LEAVE),
            ),
            "Tutorial: Streams From Scratch",
            ("Radia Silva",),
        ),
    ),
    EarlierScript(
        7800,
        2820,
        Script(
            "panel-accessibility",
            55,
            (
                *(Scene(800, 0.95, 60, 30), Scene(90, 0.95, 70, 40, 0.8)),
                *(Scene(1200, 0.9, 50, 30), Scene(610, 1, 90, 80), _PEOPLE_LEAVE),
            ),
            "Accessible by Default",
            ("Elin Lindqvist", "Linh Nguyễn"),
        ),
    ),
)


def script_at(index: int) -> Script:
    """Return the session at this index; after the last session the programme repeats."""
    repeats, position = divmod(index, len(_PROGRAMME))
    script = _PROGRAMME[position]
    if not repeats:
        return script
    part = f" ({repeats + 1})"
    return script._replace(
        session_id=f"{script.session_id}-{repeats + 1}", title=script.title + part
    )

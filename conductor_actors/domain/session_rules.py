"""The rules by which a session counts events. Apart from `session_state`, which is compiled."""

import msgspec


class SessionRules(msgspec.Struct, frozen=True):
    """The length of a window, the timeouts of a session without events, the limit of its users."""

    window_s: int = 60
    timeout_s: int = 1800
    presence_timeout_s: int = 21_600  # of a session with connected users
    max_users: int = 0  # connected at once; 0: no limit

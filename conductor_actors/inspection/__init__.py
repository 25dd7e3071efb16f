"""`inspect`: the actors as `top` shows processes, from nothing but the service's log lines.

    source ──▶ model (a fold of lines) ──▶ report ──▶ a screen, or one JSON document

`sources` is where lines come from, `lines` what they may say, `model` and `histories` what is
known from them, `report` the document, `drawing` and `following` its picture, `view` and `keys`
what the person at the screen wants.
"""

from conductor_actors.inspection.command import inspect

__all__ = ["inspect"]

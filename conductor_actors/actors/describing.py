"""A session and its mailbox, as they are described to somebody who asks."""

from conductor_actors.actors.mailbox import PooledMailbox
from conductor_actors.actors.messages import Answered, Inquiry
from conductor_actors.domain.inquiries import (
    Answer,
    Description,
    MailboxFigures,
    StateFigures,
    Upkeep,
)


def described(
    inquiry: Inquiry, known: StateFigures, mailbox: PooledMailbox, now_s: float, upkeep: Upkeep
) -> Answered:
    """Make the answer. To be called where nobody else gives the mailbox a turn."""
    request = inquiry.request
    description = Description(
        request.tenant,
        request.session,
        "running" if upkeep.quarantine_left_s is None else "quarantined",
        known,
        mailbox_figures(mailbox, now_s),
        upkeep,
    )
    return Answered(Answer(id=request.id, is_known=True, description=description))


def mailbox_figures(mailbox: PooledMailbox, now_s: float) -> MailboxFigures:
    """Count what waits, also what the turn that goes on has taken out and not handled yet."""
    rest = mailbox.turn.rest if mailbox.turn else []
    oldest_s = now_s - rest[-1].since_s if rest else mailbox.oldest_s(now_s)
    return MailboxFigures(
        depth=len(rest) + mailbox.depth(),
        oldest_s=round(oldest_s, 3),
        handled=mailbox.handled - len(rest),
        refused=mailbox.refused,
        busy_s=round(mailbox.busy_s, 6),
    )

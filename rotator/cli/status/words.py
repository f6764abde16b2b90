"""What is to be said of a token, as lines of text: for pipes, and for the terminal's picture.

Texts of stores and settings are not trusted: each line passes `one_line`, which leaves nothing in
it that steers a terminal.
"""

from collections.abc import Iterator
from typing import NamedTuple

from rotator.clock import in_words
from rotator.daemon.rows import StatusRow, Tone, count_badges, describe_moment
from rotator.errors import one_line
from rotator.rotation.model import OldTokenState, StoreState
from rotator.stores.port import shorten_url


class Remark(NamedTuple):
    """A sentence about a token, and what it is about: empty for what is wrong now."""

    topic: str
    text: str

    def __str__(self) -> str:
        return one_line(f"{self.topic}: {self.text}" if self.topic else self.text)


def describe_row(row: StatusRow) -> str:
    """Return a token's line."""
    remarks = list(find_remarks(row))
    if not row.complaint:
        remarks.insert(0, Remark("", row.report.message if row.report else "not looked at yet"))
    return one_line(f"{row.name}: {row.badge[0]} – {'; '.join(map(str, remarks))}")


def find_remarks(row: StatusRow) -> Iterator[Remark]:
    """Yield what is to be said of a token beside its life: wrong, behind, owed, failed before."""
    if row.report is None:
        return
    if row.complaint:
        yield Remark("", row.complaint)
    # Why a store cannot be reached is a failure, and told as such.
    for label, status in (("behind", StoreState.BEHIND), ("no token in", StoreState.ABSENT)):
        if urls := [each.store for each in row.stores_in_need if each.status is status]:
            yield Remark(label, ", ".join(map(shorten_url, urls)))
    owed = row.describe_debts() if row.report.error else []
    owed += [
        f"{old.token_id} to be revoked {describe_moment(old.due_at, row.now)}"
        for old in row.report.old_tokens
        if old.state is OldTokenState.WAITING and old.due_at > row.now
    ]
    if owed:
        yield Remark("owed", "; ".join(owed))
    for old in row.report.old_tokens:
        if old.is_in_use:
            yield Remark("laggard", f"{old.token_id}: {old.message or 'it is still used'}")
    if row.last_failure and not row.report.error:
        when = describe_moment(row.last_failure.at, row.now)
        yield Remark("last failure", f"{when}, {row.last_failure.error}")


def describe_renewal(row: StatusRow) -> str:
    """Tell when a token is renewed, in a few words."""
    if row.renews_at is None:
        return "–"
    left = row.renews_at - row.now
    return f"in {in_words(left)}" if left.total_seconds() > 0 else "now"


def describe_rest(rows: list[StatusRow]) -> str:
    """Tell of the tokens for which there was no room."""
    counts = ", ".join(f"{count} {word}" for word, (_, count) in count_badges(rows).items())
    if all(row.badge[1] is Tone.GOOD for row in rows):
        return f"{len(rows)} more that need nothing ({counts})"
    return f"{len(rows)} more ({counts})"

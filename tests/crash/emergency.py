"""A leaked token in the files of some bots, another one that was made with it, and a report."""

import re
import stat
from collections.abc import Iterator
from typing import Any

from tests.crash.scene import Scene, Wreck

_REPORT = "report.md"
_ID = r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
_REVOKED = re.compile(rf"leaked: {_ID}\b[^:]*: revoked:|{_ID}: revoked;|the token {_ID} is revoked")
_MINTED = re.compile(rf"minted: the API minted a token \({_ID}\)")
_WRITTEN = re.compile(rf"written: the token was written to dotenv:\S+ \({_ID}\)")
_UNSETTLED = "a mint or a revocation of an earlier run is not settled, and"
_NOW = re.compile(rf"now: {_ID},")
_STATE = re.compile(r"^\*\*(Under way|Done|Not done)", re.MULTILINE)


class Emergency(Scene):
    arguments = ("leaked", "--yes", "bots", "--revoke-found", "--report", _REPORT)

    def __init__(self, *arguments: Any) -> None:  # noqa: ANN401 - those of a scene
        super().__init__(*arguments)
        self.api.issue(days=30)  # in no store
        self._to_be_told = {row.id for row in self.api.tokens}
        self._made_at_death: int | None = None

    def wreck(self) -> Wreck:
        wreck = super().wreck()
        report = (self.folder / _REPORT).read_bytes()
        # Every emergency makes the first one itself.
        return wreck._replace(
            contents=wreck.contents | {f"../{_REPORT}": report}, made=wreck.made[1:]
        )

    @property
    def good_ends(self) -> set[int]:
        """Tell of the mint that an earlier run did not settle, which may still be under way."""
        return {3 if _UNSETTLED in self._report.rpartition("\n## ")[2] else 0}

    @property
    def states(self) -> list[str]:
        """Return what each run says of itself."""
        return _STATE.findall(self._report)

    @property
    def _report(self) -> str:
        """Return the report with each item on one line."""
        path = self.folder / _REPORT
        return path.read_text().replace("\n  ", " ") if path.exists() else ""

    def problems_while_dead(self) -> Iterator[str]:
        tokens = {file.token(self.bots) for file in self.files}
        if tokens != {self.old_token}:
            self._made_at_death = len(self.api.tokens)
        yield from self._lies()

    def problems_at_the_end(self) -> Iterator[str]:
        made = self._made_at_death
        if made is not None and made != len(self.api.tokens):
            yield "another token was minted, though the stores had a new one"
        yield from self._lies()
        if self.states[-1:] != ["Done"]:
            yield f"the report's last word is {self.states}"
        last = self._report.rpartition("\n## ")[2]
        # Whichever run revoked them.
        named = {next(filter(None, found)) for found in _REVOKED.findall(last)}
        if missing := self._to_be_told - named:
            yield f"the last run does not tell that {missing} was revoked"
        now = _NOW.findall(last)
        live = {row.secret: row.id for row in self.api.live_tokens()}
        if now != [live.get(file.token(self.bots)) for file in self.files[:1]]:
            yield f"the report says that the stores hold {now}"
        status = (self.folder / _REPORT).stat()
        if stat.S_IMODE(status.st_mode) != 0o600:
            yield "the report can be read by others"
        if left := [path.name for path in self.folder.iterdir() if "tmp" in path.name]:
            yield f"left over: {left}"
        self.transcript.add(f"{self.folder.name}: report", self._report)

    def _lies(self) -> Iterator[str]:
        """Say what stands in the report and is not so."""
        live = {row.id for row in self.api.live_tokens()}
        every = {row.id for row in self.api.tokens}
        report = self._report
        for token_id in (next(filter(None, found)) for found in _REVOKED.findall(report)):
            if token_id in live:
                yield f"the report calls {token_id} revoked, and it is alive"
        for token_id in (*_MINTED.findall(report), *_WRITTEN.findall(report)):
            if token_id not in every:
                yield f"the report tells of {token_id}, which was never made"
        if "Done" in self.states[-1:] and len(live) != 1:
            yield f"the report says that all is done, and {len(live)} tokens are alive"

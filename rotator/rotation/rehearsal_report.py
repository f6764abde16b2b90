"""What a rehearsal came to: its steps, in JSON and in a line."""

from enum import StrEnum
from typing import Any, NamedTuple


class Step(StrEnum):
    """A step of a rehearsal, as `--json` shows it, in their order."""

    READ = "read"
    PREFLIGHT = "preflight"
    LOGIN = "login"
    CLEAR_UP = "clear-up"
    INTEND = "intend"
    MINT = "mint"
    VERIFY = "verify"
    WRITE = "write"
    READ_BACK = "read-back"
    EXCHANGE = "exchange"
    NOTE = "note"
    REVOKE = "revoke"
    REMOVE = "remove"
    HOOK = "hook"


class StepResult(NamedTuple):
    """A step that was taken; `message` says what was done, or what went wrong.

    `store` is the URL of the store, and `failure` the kind of the error, where there is one.
    """

    step: Step
    message: str
    store: str | None = None
    failure: str | None = None

    def to_json(self) -> dict[str, str | None]:
        return {
            "step": self.step,
            "store": self.store,
            "status": "failed" if self.failure else "done",
            "message": self.message,
        }


class RehearsalReport(NamedTuple):
    """What a rehearsal came to; `token_id` is the canary's, None where none was made.

    `noted` tells of each place where the note of a mint is left, on purpose.
    """

    name: str
    steps: tuple[StepResult, ...] = ()
    token_id: str | None = None
    noted: tuple[str, ...] = ()

    @property
    def failures(self) -> tuple[StepResult, ...]:
        return tuple(each for each in self.steps if each.failure)

    @property
    def error(self) -> str | None:
        """A line about all that went wrong, and what is left; None where nothing did."""
        if not self.failures:
            return None
        steps = ", ".join(dict.fromkeys(each.step for each in self.failures))
        messages = "; ".join(dict.fromkeys(each.message for each in self.failures))
        return f"the rehearsal failed at {steps}: {messages}{self._end}"

    @property
    def summary(self) -> str:
        """A line about a rehearsal that passed."""
        steps = ", ".join(dict.fromkeys(each.step for each in self.steps))
        noted = "".join(f"; {each}" for each in self.noted)
        return f"{self.name}: rehearsed – {steps}{self._end}{noted}"

    @property
    def _end(self) -> str:
        done = {each.step for each in self.steps if not each.failure}
        failed = {each.step for each in self.failures}
        if Step.INTEND not in done | failed:
            return "; nothing was minted"
        if Step.REMOVE not in done or failed & {Step.REVOKE, Step.REMOVE}:
            return ""
        return f"; nothing is left of the canary {self.token_id}" if self.token_id else ""

    def to_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints, with stable keys (docs/commands.md)."""
        return {
            "name": self.name,
            "status": "failed" if self.failures else "passed",
            "token_id": self.token_id,
            "steps": [each.to_json() for each in self.steps],
            "failure": self.failures[0].failure if self.failures else None,
            "error": self.error,
        }

"""Everything that the program ever writes during the tests, and every secret that it ever had."""

from collections import defaultdict
from dataclasses import dataclass, field

_HEAD = 12  # characters


@dataclass
class Transcript:
    """Collects what came out; the last test of a run looks for the secrets in it."""

    written: list[tuple[str, str]] = field(default_factory=list)
    secrets: set[str] = field(default_factory=set)
    processes: int = 0

    def add(self, origin: str, text: str) -> None:
        if text:
            self.written.append((origin, text))

    def leaks(self) -> list[str]:
        """Return the places where a secret, or a recognisable part of a token, came out."""
        known = {part for secret in self.secrets for part in _parts(secret)}
        short = [part for part in known if len(part) < _HEAD]
        by_head: defaultdict[str, list[str]] = defaultdict(list)
        for part in known:
            by_head[part[:_HEAD]].append(part)

        def has_leak(text: str) -> bool:
            # Thousands of secrets times thousands of texts would take minutes.
            heads = {text[start : start + _HEAD] for start in range(len(text) - _HEAD + 1)}
            suspects = [part for head in heads & by_head.keys() for part in by_head[head]]
            return any(part in text for part in [*short, *suspects])

        return sorted({origin for origin, text in self.written if has_leak(text)})


def _parts(secret: str) -> set[str]:
    """Of a JWT the signature alone gives it away; its header is the same for all of them."""
    parts = secret.split(".")
    return {secret, parts[2]} if len(parts) == 3 else {secret}

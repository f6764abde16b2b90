"""Everything that the program ever writes during the tests, and every secret that it ever had."""

from dataclasses import dataclass, field


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
        return sorted({origin for origin, text in self.written if any(p in text for p in known)})


def _parts(secret: str) -> set[str]:
    """Of a JWT the signature alone gives it away; its header is the same for all of them."""
    parts = secret.split(".")
    return {secret, parts[2]} if len(parts) == 3 else {secret}

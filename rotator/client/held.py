"""An access token with its times."""

from dataclasses import dataclass, field

from rotator.nocturna.session import AccessToken

_STALE_SPAN = 300.0  # a third of the 15 minutes that the guide gives an access token
_SHORTEST_LIFE = 1.0  # a life of nothing would mean an exchange for every call


@dataclass(frozen=True, slots=True)
class Held:
    """An access token and until when (seconds of the manager's clock) it is fresh and usable."""

    secret: str = field(repr=False)
    fresh_until: float
    ends: float

    @classmethod
    def nothing(cls) -> "Held":
        """Return what is held before the first token, and after one was refused: a new one each."""
        return cls("", float("-inf"), float("-inf"))

    @classmethod
    def since(cls, asked: float, token: AccessToken) -> "Held":
        """Return a token that was asked for at that time; its life cannot have begun earlier."""
        life = max(token.lifetime, _SHORTEST_LIFE)
        return cls(token.secret, asked + life - min(_STALE_SPAN, life / 3), asked + life)

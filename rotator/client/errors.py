"""What can go wrong with a bot's service token; the rest of the tree is in `rotator.errors`."""

from rotator.errors import RotatorError, TokenRefusedError


class ServiceTokenRefusedError(TokenRefusedError):
    """The API does not accept the service token, and its source holds no other."""


class ServiceTokenUnavailableError(RotatorError):
    """The source of the service token holds none, or cannot be read; the message names it."""

    retryable = True

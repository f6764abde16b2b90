"""Every error that a user can meet, as one tree, and what is safe to say in a message.

A message is one line: what happened, to which token or store, and what to do. It never holds a
password, a token, or unchecked text of the API or a store. `retryable` says whether the same call
may succeed later without anybody changing anything.
"""

import errno
import re
from collections.abc import Collection, Iterable, Iterator, Sequence

_LONGEST_VALUE = 60
_MOST_NAMES = 10
_MOST_OFFERED = 40  # some lines of a terminal
_NO_MEMORY = "there is too little memory for it: raise the limit of this process or its container"
_NOT_MAPPED = ("failed to map segment", "cannot allocate memory", "Cannot allocate memory")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# Every JWT begins so: base64 of `{"`; also one that is cut. The first part has 20 or 36 characters.
_JWT = re.compile(r"eyJ[\w.-]{12,}")
_QUERY = re.compile(r"(?i)(https?://[^\s?#]*[?#]).*", re.DOTALL)
_CREDENTIALS = re.compile(r".*@", re.DOTALL)  # of a URL: all up to its last @


class RotatorError(Exception):
    """The top of the tree. Where it ends the command, `rotator.__main__` makes it one line."""

    retryable = False


class ConfigError(RotatorError):
    """The settings are wrong; nothing was read and nothing was changed."""


class MistakesError(ConfigError):
    """The settings have mistakes, each a line of `mistakes`; the message is the first of them.

    It gives no number of the others: `rotator config check` looks for more than most commands.
    """

    def __init__(self, mistakes: Sequence[str]) -> None:
        first, *others = mistakes
        more = " (and more: rotator config check)" if others else ""
        super().__init__(first + more)
        self.mistakes = tuple(mistakes)


class MissingPackageError(ConfigError):
    """The settings ask for what a package does that is not installed."""


class OutputError(RotatorError):
    """The results could not be written to stdout, though the work was done."""


class DaemonError(RotatorError):
    """A daemon did not say what it knows of its tokens; the message names its address."""

    retryable = True


class MalformedTokenError(RotatorError):
    """The text is no service token; `reason` is machine-readable (see `rotator.tokens`)."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class VerificationError(RotatorError):
    """A minted token is not what was asked for, or the server does not accept it."""


class StoreError(RotatorError):
    """A store could not do what it was asked; the store's URL is in the message."""


class StoreUnreachableError(StoreError):
    """The store did not answer, or is broken: nothing is known about the secret."""

    retryable = True


class StoreDeniedError(StoreError):
    """The store denies access; the message names the missing right."""


class UnconfirmedWriteError(StoreError):
    """The store answered a write, and its answer does not show what was written."""


class ConflictError(StoreError):
    """The secret changed since it was read; the write did not happen."""

    retryable = True


class ApiError(RotatorError):
    """A call to the Nocturna API failed; the message names the call.

    `status` is that of its answer, None where there was none, or it was not the status.
    """

    status: int | None = None


class ApiUnreachableError(ApiError):
    """No answer: the connection failed, was cut off, or timed out."""

    retryable = True


class ApiFaultError(ApiError):
    """An answer of 5xx or 429, or one that is not what the API promises."""

    retryable = True


class LoginRefusedError(ApiError):
    """E-mail or password are wrong; the API does not tell which."""


class NotAdminError(ApiError):
    """The account is not allowed to manage service tokens."""


class NotFoundError(ApiError):
    """The API knows no token of this id (404)."""


class TokenRefusedError(ApiError):
    """The server does not accept this service token."""


class ServiceTokenRefusedError(TokenRefusedError):
    """The API does not accept the service token, and its source holds no other."""


class ServiceTokenUnavailableError(RotatorError):
    """A bot's source of the service token holds none, or cannot be read; the message names it."""


class MintOutcomeUnknownError(ApiError):
    """A mint was sent, and its answer is lost: there may be a token that no store has."""

    retryable = True


def describe_lack(error: BaseException) -> str | None:
    """Say which limit of this machine an error comes of, None where it comes of none."""
    if isinstance(error, RuntimeError) and str(error) == "can't start new thread":
        return "this machine starts no more threads: raise its limits of processes and memory"
    has_no_memory = isinstance(error, MemoryError)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full: free some space, or raise the quota"
    if isinstance(error, OSError):
        has_no_memory = error.errno == errno.ENOMEM
    elif isinstance(error, ImportError):  # of a library that is mapped into memory
        has_no_memory = any(words in str(error) for words in _NOT_MAPPED)
    return _NO_MEMORY if has_no_memory else None


def internal_error(error: BaseException) -> str:
    """Return a line about a bug of ours: its kind and place. Its text may hold a secret.

    What only a limit of this machine keeps from working is told as such.
    """
    if lack := describe_lack(error):
        return lack
    import traceback  # noqa: PLC0415 - only a bug needs it

    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return f"internal error: {type(error).__name__}{place}; please report this line"


def kind(error: BaseException) -> str:
    """Return the machine-readable kind of an error: `store-denied` of a `StoreDeniedError`."""
    return _kind_of(type(error))


def _kind_of(error: type[BaseException]) -> str:
    name = error.__name__.removesuffix("Error")
    return "".join(f"-{c.lower()}" if c.isupper() else c for c in name).removeprefix("-")


def retryable_kinds() -> frozenset[str]:
    """Return the kinds of errors after which the same may work later by itself."""

    def below(error: type[RotatorError]) -> Iterator[type[RotatorError]]:
        yield error
        for each in error.__subclasses__():
            yield from below(each)

    return frozenset(_kind_of(each) for each in below(RotatorError) if each.retryable)


def one_line(text: str) -> str:
    """Return a text without line breaks and terminal control characters."""
    words = " ".join(text.split())
    if words.isprintable():
        return words
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in words)


def has_control(text: str) -> bool:
    """Tell whether a text holds a control character, which no credential does."""
    return _CONTROL.search(text) is not None


def has_token(text: str) -> bool:
    """Tell whether a JWT stands in a text."""
    return _JWT.search(text) is not None


def hide_tokens(text: str) -> str:
    """Return one line of a text, with `<token>` in the place of every JWT."""
    return _JWT.sub("<token>", one_line(text))


def describe_kind(value: object) -> str:
    """Say what kind of TOML value this is, for a message that must not show it."""
    if value in ("", [], {}):
        return {str: "an empty text", list: "an empty list"}.get(type(value), "an empty table")
    kinds = {str: "a text", list: "a list", dict: "a table", bool: "true or false"}
    return kinds.get(type(value), "a number" if isinstance(value, int | float) else "a date")


def quote_value(value: object) -> str:
    """Return a value of the settings for a message: short, on one line, as TOML writes it.

    Left out are tokens, what a URL holds before an `@` or in its query, which may be a password,
    and all that a list or a table holds.
    """
    if isinstance(value, list | dict):
        return describe_kind(value)
    if isinstance(value, bool):
        return str(value).lower()
    text = _QUERY.sub(r"\1...", _CREDENTIALS.sub("...@", str(value)))
    text = _JWT.sub("<token>", text)
    text = f'"{text}"' if isinstance(value, str) else text
    text = text.encode("unicode_escape").decode()
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def join_names(names: Collection[str], most: int = _MOST_NAMES) -> str:
    """Return the first `most` names, and how many there are besides."""
    first, more = [*names][:most], len(names) - most
    return ", ".join(first) + (f" and {more} more" if more > 0 else "")


def offer(known: Collection[str]) -> str:
    """Say that one of these names was expected; of a large fleet, the first of them."""
    return f"one of: {join_names(known, _MOST_OFFERED)}"


def suggest(name: str, known: Collection[str]) -> str:
    """Say which name was expected in the place of one that is not known.

    It is the one that is most like it. Where several are, as those of `bot-01` to `bot-40`, none of
    them was meant more than the others, and they are all offered.
    """
    from difflib import SequenceMatcher  # noqa: PLC0415 - only a mistake needs it

    best = nearest(name, known)
    if best is None:
        return offer(known)
    likeness = {each: SequenceMatcher(None, each, name).ratio() for each in known}
    alike = [each for each in known if likeness[each] == likeness[best]]
    return offer(alike) if alike[1:] else best


def nearest(word: str, known: Iterable[str], likeness: float = 0.6) -> str | None:
    """Return the known word that is most like `word`, None below that likeness (1.0: the same)."""
    from difflib import get_close_matches  # noqa: PLC0415 - only a mistake needs it

    return next(iter(get_close_matches(word, list(known), 1, likeness)), None)

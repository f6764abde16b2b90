"""The token in a file that holds nothing else, as a mounted Secret does."""

from pathlib import Path

_LARGEST = 64 * 1024  # bytes; a token has a few hundred


def content(path: Path) -> str:
    """Return the text in a file, without one line break at its end.

    Raises `OSError`, and `ValueError` for what can be no path.
    """
    with path.open("rb") as file:
        text = file.read(_LARGEST)
    return text.decode("utf-8", "replace").removesuffix("\n").removesuffix("\r")

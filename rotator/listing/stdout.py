"""Results on stdout, of which somebody may take the first lines only, or none."""

import sys

from rotator.errors import OutputError


def write(text: str) -> None:
    """Print a text; raises `OutputError` when it could not be written, say on a full disk."""
    if sys.stdout is None:  # somebody closed it, so nobody wants the results
        return
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        pass  # the reader has seen enough
    except OSError as error:
        raise OutputError(f"the results could not be written ({error.strerror})") from None

"""A rig for the program of a `command:` store: what is not reached, and what is not answered."""

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from rotator.stores.port import StoreUrl, parse_url
from rotator.stores.registry import Backends
from rotator.testing.rig import Circumstance, Rig

# Each run has two steps: it does not begin, and its answer is lost.
_RELAY = """#!/bin/sh
cd {here} || exit 64
if [ -e cut ]; then
    read -r cut <cut
    read -r step <step
    echo $((step + 2)) >step
    if [ "$cut" = "$step" ]; then
        : >reached
        exit 64
    fi
    if [ "$cut" = $((step + 1)) ]; then
        : >reached
        cd "$OLDPWD" && {program} "$@" >/dev/null
        exit 64
    fi
fi
cd "$OLDPWD" && exec {program} "$@"
"""


def program_rig(  # noqa: PLR0913 - the means of `Rig`, by name
    url: str,
    folder: Path,
    *,
    put: Callable[[str], object] | None = None,
    neighbours: Callable[[], object] = lambda: None,
    unreachable: Circumstance | None = None,
    forbidden: Circumstance | None = None,
    read_only: Circumstance | None = None,
    values: tuple[str, ...] = Rig.values,
) -> Rig:
    """Return a rig for the program in a `command:` URL, which has to be an empty place.

    Relative paths in the URL start at `folder`, which is that of one test. The program is run by a
    script there that can keep it from running, and lose its answer. The other arguments are those
    of `Rig`.
    """
    backends, parsed = Backends(), parse_url(url, folder)
    here = folder / "relay"
    here.mkdir()
    relay = here / "program"
    program = Path(folder, parsed.location.removeprefix("//"))
    relay.write_text(_RELAY.format(here=shlex.quote(str(here)), program=shlex.quote(str(program))))
    relay.chmod(0o755)
    return Rig(
        open=partial(backends.open, _through(parsed, relay), folder),
        put=put,
        neighbours=neighbours,
        unreachable=unreachable,
        forbidden=forbidden,
        read_only=read_only,
        cut=partial(_cut, here),
        values=values,
    )


def _through(url: StoreUrl, relay: Path) -> str:
    """Return the URL with another program."""
    rest = url.text.partition(":")[2]
    end = min(rest.find(mark) % (len(rest) + 1) for mark in "?#")
    return f"command:{relay.as_uri().removeprefix('file://')}{rest[end:]}"


@contextmanager
def _cut(here: Path, number: int) -> Iterator["_Knife"]:
    files = {"cut": number, "step": 0}
    for name, value in files.items():
        (here / name).write_text(f"{value}\n")
    knife = _Knife()
    yield knife
    knife.reached = (here / "reached").exists()
    for name in (*files, "reached"):
        (here / name).unlink(missing_ok=True)


class _Knife:
    reached = False

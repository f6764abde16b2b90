"""Programs to be run by `rotator exec`, and what the tests ask about them."""

from pathlib import Path

from rotator.tokens import ServiceToken
from tests.support.process import Runner, Running

SOON = ("--settle", "1s")
SHOW = 'echo "has $(printf %s "$NOCTURNA_SERVICE_TOKEN" | sha256sum | cut -c1-12)" >&2'
BOT = ("--", "sh", "-c", f"{SHOW}; exec sleep 1000")
STUBBORN = ("--", "sh", "-c", f"trap '' TERM; {SHOW}; exec sleep 1000")


def has(secret: str) -> str:
    """Return what `SHOW` says of a secret."""
    return f"has {ServiceToken.parse(secret).fingerprint}"


def put(rotator: Runner, secret: str, name: str = ".env") -> None:
    """Put a token into a file as careful writers do: in one step."""
    new = rotator.folder / "new"
    new.write_text(f"NOCTURNA_SERVICE_TOKEN={secret}\n")
    new.chmod(0o600)
    new.replace(rotator.folder / name)


def count(running: Running, text: str) -> int:
    return sum(text in line for line in running.lines)


def child_of(running: Running) -> int:
    """Return the process that a command has started."""
    pid = running.process.pid
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def alive(pid: int) -> bool:
    """Tell whether a process runs; one that nobody has buried does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False

"""The `.env` files that the programs under test get, each in a folder of its own."""

from pathlib import Path

VARIABLE = "NOCTURNA_SERVICE_TOKEN"
_TEXT = """\
# A bot
BOT_NAME="Luna"
{variable}={token}
LOG_LEVEL=info
"""


def write(folder: Path, token: str) -> Path:
    """Make the folder and a `.env` with this token in it; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / ".env"
    file.write_text(_TEXT.format(variable=VARIABLE, token=token))
    file.chmod(0o600)
    return folder


def read(folder: Path) -> str:
    """Return the token in the folder's `.env`."""
    lines = (folder / ".env").read_text().splitlines()
    return next(line for line in lines if line.startswith(f"{VARIABLE}=")).partition("=")[2]

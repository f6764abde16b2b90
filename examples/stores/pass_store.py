#!/usr/bin/env python3
"""A store in pass, the Unix password store: an entry whose first line is the token.

    command:/usr/local/lib/rotator/pass_store.py#bots/luna

The note is a line `rotator: …` of that entry; its other lines stay. gpg-agent has to know the key,
or the key has no passphrase: nobody is there to type one.
"""

import fcntl
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

ABSENT, DENIED, UNREACHABLE, CONFLICT = 3, 4, 5, 6
STORE = Path(os.environ.get("PASSWORD_STORE_DIR") or Path.home() / ".password-store")
NOTE = "rotator: "


def answer(verb: str) -> int:
    """Do what the verb says, and return the exit status."""
    request = json.load(sys.stdin)
    entry = request["name"]
    lock = os.open(STORE, os.O_RDONLY)
    if verb != "read":
        fcntl.flock(lock, fcntl.LOCK_EX)  # it ends with this process
    file = STORE / f"{entry}.gpg"
    text = run("pass", "show", entry) if file.exists() else ""
    secret, *lines = text.splitlines() or [""]
    note = next((line.removeprefix(NOTE) for line in lines if line.startswith(NOTE)), "")
    version = hashlib.sha256(f"{secret}\n{note}".encode()).hexdigest()
    if verb == "read":
        shown = {"secret": secret, "note": note, "version": version}
        shown["capabilities"] = ["compare-and-set", "notes", "scratch"]
        shown["scratch"] = (STORE / f"{entry}_REHEARSAL.gpg").exists()
        print(json.dumps(shown))  # noqa: T201 - the answer
        return 0 if secret else ABSENT
    if verb == "preflight":
        return prove_writable(file)
    if request["expected"] != version:
        return CONFLICT
    secret = "" if verb == "remove" else request.get("secret", secret)
    note = request["note"]
    others = [line for line in lines if not line.startswith(NOTE)]
    if verb == "remove" and not (note or others):
        if file.exists():
            run("pass", "rm", "--force", entry)
        return 0
    text = "\n".join([secret, *([NOTE + note] if note else []), *others])
    # pass writes over the file; only a move shows readers the old entry or the new one.
    run("pass", "insert", "--multiline", "--force", f"{entry}.new", given=f"{text}\n")
    run("pass", "mv", "--force", f"{entry}.new", entry)
    return 0


def prove_writable(file: Path) -> int:
    """Encrypt nothing for the keys of the entry, and look at the rights of its folder."""
    parents = [each for each in file.parents if each.exists()]
    keys = next(each / ".gpg-id" for each in parents if (each / ".gpg-id").exists()).read_text()
    recipients = [f"--recipient={key}" for key in keys.split()]
    run("gpg", "--batch", "--encrypt", *recipients, "--output=/dev/null", "--yes")
    return 0 if os.access(parents[0], os.W_OK, effective_ids=True) else DENIED


def run(*command: str, given: str = "") -> str:
    """Return what a program prints; raise when it fails."""
    done = subprocess.run(command, input=given, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603
    return done.stdout


try:
    sys.exit(answer(sys.argv[-1]))
except PermissionError:
    sys.exit(DENIED)
except (OSError, StopIteration, subprocess.CalledProcessError):
    sys.exit(UNREACHABLE)

#!/usr/bin/env python3
"""A store in a JSON file: plain, or encrypted by age, SOPS or Ansible Vault, as its name ends.

command:/usr/local/lib/rotator/json_file.py?args=luna.json#NAME
…?args=luna.json.age+KEYFILE    …?args=luna.sops.json    …?args=luna.vault.json
"""

import fcntl
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

ABSENT, DENIED, UNREACHABLE, CONFLICT = 3, 4, 5, 6
KEYFILE = sys.argv[2]  # of age; of the others, the environment names it
TOOLS = {
    ".age": (["age", "-d", "-i", KEYFILE], ["age", "-e", "-i", KEYFILE]),
    ".sops.json": (
        ["sops", "--input-type=json", "--output-type=json", "-d", "/dev/stdin"],
        ["sops", "--input-type=json", "--output-type=json", "-e"],
    ),
    ".vault.json": (
        ["ansible-vault", "decrypt", "--output=-", "-"],
        ["ansible-vault", "encrypt", "--output=-", "-"],
    ),
}


def answer(verb: str, file: Path) -> int:
    """Do what the verb says, and return the exit status."""
    request = json.load(sys.stdin)
    name, journal = request["name"], f"{request['name']}:rotator"
    scratch = {f"{name}_REHEARSAL", f"{name}_REHEARSAL:rotator"}
    folder = os.open(file.parent, os.O_RDONLY)
    if verb != "read":
        fcntl.flock(folder, fcntl.LOCK_EX)  # it ends with this process
    values = json.loads(convert(file, 0, file.read_bytes())) if file.exists() else {}
    secret, note = values.get(name, ""), values.get(journal, "")
    version = hashlib.sha256(f"{secret}\n{note}".encode()).hexdigest()
    if verb == "read":
        shown = {"secret": secret, "note": note, "version": version}
        shown["capabilities"] = ["compare-and-set", "notes", "scratch"]
        shown["scratch"] = not scratch.isdisjoint(values)
        print(json.dumps(shown))  # noqa: T201 - the answer
        return 0 if secret else ABSENT
    if verb != "preflight" and request["expected"] != version:
        return CONFLICT
    secret = "" if verb == "remove" else request.get("secret", secret)
    wanted = {name: secret, journal: request.get("note", note)}
    for key, text in wanted.items():
        values[key] = text
        if not text:
            del values[key]
    new = file.with_name(f"{file.name}.new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as output:
        output.write(convert(file, 1, json.dumps(values, indent=2).encode()))
        output.flush()
        os.fsync(output)
    if verb == "preflight":
        new.unlink()
    else:
        new.replace(file)
        os.fsync(folder)
    return 0


def convert(file: Path, way: int, text: bytes) -> bytes:
    """Decrypt (0) or encrypt (1)."""
    tool = next((each for end, each in TOOLS.items() if file.name.endswith(end)), None)
    if tool is None:
        return text
    command = [*tool[way]]
    if command[-1] == "-e":  # SOPS finds the keys in .sops.yaml, by the name of the file
        command += ["--filename-override", str(file), "/dev/stdin"]
    return subprocess.run(command, input=text, stdout=subprocess.PIPE, check=True).stdout  # noqa: S603


try:
    sys.exit(answer(sys.argv[-1], Path(sys.argv[1]).resolve()))
except PermissionError:
    sys.exit(DENIED)
except (OSError, subprocess.CalledProcessError):
    sys.exit(UNREACHABLE)

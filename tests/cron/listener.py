"""Stands in for syslog in the throw-away machine: prints each message that comes to /dev/log."""

import socket
from pathlib import Path

PATH = "/dev/log"

with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
    log.bind(PATH)
    Path(PATH).chmod(0o666)
    while True:
        print(log.recv(65536).decode(), flush=True)  # noqa: T201 - it is a program

"""The README's `docker run` commands, as data."""

import argparse
import re
import shlex
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
FLAGS = ("--rm", "--read-only", "-d")
VALUES = ("--tmpfs", "--cap-drop", "--name", "--restart", "--security-opt")


class DockerRun(NamedTuple):
    env: dict[str, str]
    volumes: list[list[str]]
    command: list[str]


def docker_runs() -> list[DockerRun]:
    """Return the runs of the section on Docker; an option that it does not know is an error."""
    section = (ROOT / "README.md").read_text().partition("# Docker\n")[2]
    block = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert block
    lines = block[1].replace("\\\n", " ").splitlines()
    assert lines[0] == "docker build -t nocturna-rotator ."
    return [_run(line) for line in lines if line.startswith("docker run")]


def _run(line: str) -> DockerRun:
    parser = argparse.ArgumentParser()
    for flag in FLAGS:
        parser.add_argument(flag, action="store_true")
    for value in VALUES:
        parser.add_argument(value)
    parser.add_argument("-e", action="append", default=[])
    parser.add_argument("-v", action="append", default=[])
    parser.add_argument("image", choices=["nocturna-rotator"])
    parser.add_argument("command", nargs="*")
    found = parser.parse_args(shlex.split(line)[2:])
    assert found.read_only
    assert found.cap_drop == "ALL"
    env = dict(each.split("=", 1) for each in found.e)
    return DockerRun(env, [each.split(":") for each in found.v], found.command)

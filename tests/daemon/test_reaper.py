"""Process 1 reaps what is left to it, and never a process that a thread of its own waits for."""

import subprocess
import sys

import pytest

from tests.support.waiting import PATIENCE

# As process 1: what our descendants leave behind becomes ours.
SCRIPT = """
import os, subprocess, sys, time
from pathlib import Path
from rotator.daemon.reaper import ZombieReaper
from rotator.cli.exec.child import inherit_orphans

inherit_orphans()
seconds = 0.0
reaper = ZombieReaper(lambda: seconds, is_first=True)

def zombies():
    stats = [(pid, read(pid)) for pid in os.listdir("/proc") if pid.isdecimal()]
    return [int(pid) for pid, text in stats if text[:2] == ["Z", str(os.getpid())]]

def read(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []

def wait_for(count):
    while len(zombies()) < count:
        time.sleep(0.01)

def run(line, **options):
    return subprocess.Popen(["sh", "-c", line], **options)
"""


def say(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT + script],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_what_a_hook_leaves_behind_is_reaped_at_once() -> None:
    assert (
        say("""
run("for i in 1 2 3; do true & done; sleep 0.1; exec sleep 0", start_new_session=True).wait()
run("for i in 1 2 3; do (sleep 0.1 &) ; done", start_new_session=True).wait()
wait_for(3)
reaper.reap()
print(zombies())
""")
        == "[]"
    )


@pytest.mark.parametrize("options", ["", ", start_new_session=True"])
def test_a_program_of_our_own_keeps_its_status_for_whoever_waits_for_it(options: str) -> None:
    assert (
        say(f"""
program = run("exit 7"{options})
wait_for(1)
reaper.reap()
reaper.reap()
print(program.wait(), zombies())
""")
        == "7 []"
    )


def test_what_nobody_asked_for_within_a_minute_is_reaped_too() -> None:
    assert (
        say("""
run("(setsid true &)", start_new_session=True).wait()
wait_for(1)
reaper.reap()
before = len(zombies())
seconds = 61.0
reaper.reap()
print(before, zombies())
""")
        == "1 []"
    )


def test_who_is_not_process_1_reaps_nothing() -> None:
    assert (
        say("""
run("(sleep 0.1 &)", start_new_session=True).wait()
wait_for(1)
ZombieReaper(lambda: 99.0).reap()
print(len(zombies()))
""")
        == "1"
    )

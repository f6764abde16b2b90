"""The example bots as programs, the way their page starts them."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.process import Runner
from tests.support.sandbox import Sandbox
from tests.support.waiting import PATIENCE

EXAMPLES = Path(__file__).parents[2] / "examples"
BOTS = ["requests_bot.py", "httpx_bot.py"]


@contextmanager
def log_of(
    bot: str, rotator: Runner, api: Sandbox
) -> Iterator[tuple["subprocess.Popen[str]", Iterator[str]]]:
    """Start a bot, and yield it with the lines of its log; it is killed at the end."""
    variables = {"NOCTURNA_API_URL": api.url, "NOCTURNA_TOKEN_SOURCE": "dotenv:.env"}
    process = subprocess.Popen(
        [sys.executable, EXAMPLES / bot],
        cwd=rotator.folder,
        env=variables,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    with process, process.stderr as log:
        yield process, iter(log)
        process.kill()


@pytest.mark.parametrize("bot", BOTS)
def test_a_bot_tells_at_its_start_how_long_its_token_lives_and_calls(
    rotator: Runner, api: Sandbox, bot: str
) -> None:
    rotator.write_env(api.issue(days=3))
    with log_of(bot, rotator, api) as (_, log):
        first = next(line for line in log if ":bot:" in line)
        assert first.startswith("WARNING:bot:service token")
        assert "renew it: rotator rotate" in first
        assert next(line for line in log if ":bot:" in line).startswith("INFO:bot:a chart of ")


@pytest.mark.parametrize("bot", BOTS)
def test_a_bot_without_a_token_goes_on(rotator: Runner, api: Sandbox, bot: str) -> None:
    with log_of(bot, rotator, api) as (_, log):
        lines = [next(line for line in log if ":bot:" in line) for _ in range(2)]
    assert lines[0].startswith("WARNING:bot:the service token cannot be read from dotenv:")
    assert lines[1].startswith("WARNING:bot:no chart: the service token cannot be read")


@pytest.mark.sample(1)
@pytest.mark.parametrize("bot", BOTS)
def test_a_bot_without_its_settings_says_in_a_line_which(bot: str) -> None:
    address = {"NOCTURNA_API_URL": "https://your-api-server.com/api"}
    for variables, why in (
        ({}, "set the variable 'NOCTURNA_API_URL'"),
        ({**address, "NOCTURNA_TOKEN_SOURCE": ".env"}, "service_token: found neither a token nor"),
    ):
        done = subprocess.run(
            [sys.executable, EXAMPLES / bot],
            env=variables,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 1
        assert done.stderr.startswith(why)
        assert done.stderr.count("\n") == 1


@pytest.mark.sample(1)
@pytest.mark.parametrize("bot", BOTS)
def test_ctrl_c_ends_a_bot_without_a_traceback(rotator: Runner, api: Sandbox, bot: str) -> None:
    rotator.write_env(api.issue())
    with log_of(bot, rotator, api) as (process, log):
        next(line for line in log if "a chart of" in line)
        process.send_signal(signal.SIGINT)
        assert "".join(log) == ""
        assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize("bot", BOTS)
def test_a_bot_fits_on_a_screen(bot: str) -> None:
    assert len((EXAMPLES / bot).read_text().splitlines()) <= 70

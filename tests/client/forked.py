"""Forks while a thread is in the middle of an exchange; the children do not wait for it."""

import os
import signal
import sys
import threading
from typing import NoReturn

from tests.client.support import EXCHANGE, Bot
from tests.support.sandbox import Fault, Sandbox
from tests.support.waiting import PATIENCE


def child(bot: Bot) -> NoReturn:
    status = 1
    # The lock of a thread that does not exist here would never be free.
    signal.alarm(round(PATIENCE))
    try:
        threads = [threading.Thread(target=bot.manager.get_access_token) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        if bot.manager.get_access_token():
            sys.stdout.write("child\n")
            sys.stdout.flush()
            status = 0
    finally:
        os._exit(status)


def main() -> None:
    asked, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        asked.set()
        go_on.wait(PATIENCE)

    with Sandbox() as api:
        bot = Bot(api, api.issue())
        api.misbehave(Fault.meanwhile(hold, "before"), EXCHANGE)
        thread = threading.Thread(target=bot.manager.get_access_token)
        thread.start()
        asked.wait(PATIENCE)
        children = [os.fork() or child(bot) for _ in range(2)]
        for each in children:
            os.waitpid(each, 0)
        go_on.set()
        thread.join(PATIENCE)
        token = bot.manager.get_access_token()
        # One of the parent, and one of each child, however many threads it has.
        if token and bot.exchanges == 3:
            sys.stdout.write("parent\n")


if __name__ == "__main__":
    main()

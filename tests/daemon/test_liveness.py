from rotator.daemon.scheduler import Scheduler


def test_a_scheduler_lives_from_its_start_to_its_end() -> None:
    scheduler = Scheduler()
    found = [scheduler.is_alive()]
    scheduler.start()
    found.append(scheduler.is_alive())
    scheduler.shutdown()
    found.append(scheduler.is_alive())
    assert found == [False, True, False]


def test_a_scheduler_whose_thread_died_does_not_live() -> None:
    class Dying(Scheduler):
        def _main_loop(self) -> None:
            """End at once, as on an error that nobody foresaw."""

    scheduler = Dying()
    scheduler.start()
    scheduler._thread.join()  # noqa: SLF001 - the one that is to be dead
    assert scheduler.running
    assert not scheduler.is_alive()
    scheduler.shutdown()

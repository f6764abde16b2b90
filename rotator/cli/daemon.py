"""`rotator daemon`: stays up, and renews each token when it is due."""

from importlib.util import find_spec
from pathlib import Path

import click

from rotator.cli import options
from rotator.clock import utc_now
from rotator.config.loader import load_settings
from rotator.config.settings import Settings
from rotator.daemon.web import ListenAddress, parse_address
from rotator.errors import MissingPackageError
from rotator.stores.port import current_folder


@options.examples("rotator daemon", "rotator daemon --listen 9464 --log-format json")
@click.command("daemon")
@click.option(
    "--listen",
    type=options.Parsed("address", parse_address),
    metavar="[HOST:]PORT",
    help="Serve the status page there [HOST by default: 127.0.0.1].",
)
@options.with_config(tells_events=True)
def command(config: Path | None, listen: ListenAddress | None) -> int:
    """Stay up, and renew each token when it is due.

    Looks at every token at the start, when it becomes due, and at least once an hour. On SIGTERM
    and SIGINT it finishes the rotation in hand and exits 0; on SIGHUP it reads the settings again.

    With --listen it serves the state of the tokens, to everybody who can reach that address: a page
    at /, /healthz and /readyz for probes, and /metrics for Prometheus.
    """
    if find_spec("apscheduler") is None:
        raise MissingPackageError(
            "the daemon needs the package APScheduler: pip install 'nocturna-rotator[daemon]'"
        )
    # APScheduler may be missing.
    from rotator.daemon.process import serve  # noqa: PLC0415
    from rotator.daemon.scheduler import Scheduler  # noqa: PLC0415

    cwd = current_folder()
    variables = options.take_variables()

    def load() -> Settings:
        settings = load_settings(config, variables, cwd)
        options.forbid_core_dump(settings)
        return settings

    serve(load, utc_now, Scheduler(), listen)
    return 0

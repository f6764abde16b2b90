"""What follows a rotation, looked at without doing it: hooks, restarts, and what is still to do."""

import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import timedelta

from rotator.config.section import shown
from rotator.config.settings import TokenSettings
from rotator.errors import ConfigError
from rotator.hooks.commands import Hooks
from rotator.hooks.restarts import Restarts
from rotator.rotation.inventory import side_by_side


def broken(hooks: Sequence[Sequence[str]], environ: Mapping[str, str]) -> tuple[int, ...]:
    """Return the numbers, from 1, of the hooks that could not be started."""
    path = os.pathsep.join(os.get_exec_path(environ))
    return tuple(
        number
        for number, (program, *_) in enumerate(hooks, 1)
        if shutil.which(program, path=path) is None
    )


def try_restarts(token: TokenSettings) -> dict[str, str | None]:
    """Return by workload what would keep it from being restarted, None where nothing would.

    Nothing is returned where the settings do not allow any restart, which is told with them.
    """
    restarts = Restarts(token)
    try:
        if restarts.workloads:
            restarts.require()
    except ConfigError:
        return {}

    def look(workload: str) -> str | None:
        return restarts.impossible(workload, token.hook_timeout)

    workloads = tuple(dict.fromkeys(restarts.workloads))
    return dict(zip(workloads, side_by_side(look, workloads), strict=True))


def name_undone(token: TokenSettings, noted: Collection[str]) -> tuple[str, ...]:
    """Return names for those of the noted ids that belong to something in the settings."""
    if not noted:
        return ()
    ids = Hooks(token.hooks, token.notify, timedelta(), {}, Restarts(token)).ids
    known = dict(zip(ids, _names(token), strict=True))
    return tuple(known[each] for each in noted if each in known)


def _names(token: TokenSettings) -> Iterator[str]:
    """Yield a name for each in the order of `Hooks.ids`; arguments and URLs may hold secrets."""
    for number, (program, *_) in enumerate(token.hooks, 1):
        yield f"hook {number} ({shown(program)})"
    for workload in token.restart:
        yield f"the restart of {workload}"
    for number, _ in enumerate(token.notify, 1):
        yield f"the notice to URL {number}"

"""A place for one secret behind a server of each kind."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from random import Random

import pytest

import tests.aws.site as aws_site
import tests.command.site as command_site
import tests.kubernetes.site as kubernetes_site
import tests.vault.site as vault_site
from tests.aws.parameters import ParameterSite
from tests.aws.site import Aws
from tests.backends.kinds import Site
from tests.command.site import CommandSite, SecretServer
from tests.kubernetes.cluster import Cluster
from tests.support.crew import ALL_STORES, Crew
from tests.vault.bao import Bao

KINDS = ("vault", "aws", "kubernetes")
# For tests that start many processes: what they show of one kind is hardly otherwise for the rest.
ONE_KIND = ("vault", *(pytest.param(kind, marks=pytest.mark.long) for kind in KINDS[1:]))
# They keep the promises of all.
MORE_KINDS = ("aws-ssm", "command")
MANY_KINDS = (*ONE_KIND, *(pytest.param(kind, marks=pytest.mark.long) for kind in MORE_KINDS))


@pytest.fixture
def moments(drawn: Random, long: bool) -> Iterator[int]:  # noqa: FBT001 - a fixture
    """Number the moments at which a process is stopped: a third of them, unless all are wanted."""
    return count() if long else count(drawn.randrange(3), 3)


@pytest.fixture(scope="session")
def bao() -> Iterator[Bao]:
    with vault_site.run_bao() as bao:
        yield bao


@pytest.fixture(scope="session")
def cloud() -> Iterator[Aws]:
    with aws_site.running() as cloud:
        yield cloud


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with kubernetes_site.running() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def secret_server() -> Iterator[SecretServer]:
    with command_site.running() as server:
        yield server


@pytest.fixture
def new_site(
    bao: Bao, cloud: Aws, cluster: Cluster, secret_server: SecretServer, tmp_path: Path
) -> Iterator[Callable[[str], Site]]:
    """Return what makes an empty place in a store of a kind."""
    with ExitStack() as stack:

        def new(kind: str) -> Site:
            match kind:
                case "vault":
                    return vault_site.Site(bao)
                case "aws":
                    return aws_site.Site(cloud)
                case "aws-ssm":
                    return ParameterSite(cloud)
                case "command":
                    return CommandSite(secret_server, tmp_path)
            site = kubernetes_site.Site(cluster, tmp_path)
            stack.callback(site.close)
            return site

        yield new


@pytest.fixture(params=KINDS)
def site(request: pytest.FixtureRequest, new_site: Callable[[str], Site]) -> Site:
    """Return an empty place in each kind of store in turn."""
    return new_site(request.param)


@pytest.fixture(scope="session")
def crew() -> Iterator[Crew]:
    with Crew(*ALL_STORES) as crew:
        yield crew

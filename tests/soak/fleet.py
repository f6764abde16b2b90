"""A fleet in all four kinds of store: what its bots read, and what else is kept there."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from typing import NamedTuple

import tests.aws.site as aws_site
import tests.kubernetes.site as kubernetes_site
import tests.vault.site as vault_site
from tests.aws.site import Aws
from tests.backends.kinds import Site
from tests.kubernetes.cluster import Cluster, write_kubeconfig
from tests.support.relay import Relay
from tests.support.sandbox import Sandbox
from tests.support.world import VARIABLE
from tests.vault.bao import Bao

# Each is due two hours after it was made, and again two hours later.
_SETTINGS = """\
[defaults]
validity = "1d"
renew_before = "22h"
rotation_timeout = "10m"
retire = "now"
"""
_KINDS = 4


class Servers(NamedTuple):
    """The servers of the stores; the API server of Kubernetes is the stand-in."""

    bao: Bao
    cloud: Aws
    cluster: Cluster


class EnvFile:
    """A place for one secret in a `.env` file."""

    upstream = ""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.store_url = f"dotenv:{path}"
        path.write_text("# luna's people\nA=1\nNOCTURNA_SERVICE_TOKEN=\nB='2'\n")
        path.chmod(0o640)

    def variables(self, _server: str) -> dict[str, str]:
        return {}

    def put(self, secret: str) -> None:
        self._path.write_text(
            VARIABLE.sub(f"NOCTURNA_SERVICE_TOKEN={secret}", self._path.read_text())
        )

    def secret(self) -> str | None:
        found = VARIABLE.search(self._path.read_text())
        return found[1] if found else None

    def neighbours(self) -> object:
        lines = self._path.read_text().splitlines()
        others = [each for each in lines if not each.startswith(("NOCTURNA", "# rotator:"))]
        return others, self._path.stat().st_mode


class Place(NamedTuple):
    """A store of a token, and all that was kept beside the secret at the start."""

    site: Site
    neighbours: object


class Doors(NamedTuple):
    """Relays, and the environment of a rotator that goes through them."""

    variables: Mapping[str, str]
    relays: Sequence[Relay]

    @property
    def moments(self) -> int:
        """How many moments all requests so far had."""
        return sum(len(relay.moments) for relay in self.relays)

    @property
    def under_way(self) -> int:
        """How many requests a server may be working on."""
        return sum(relay.under_way for relay in self.relays)


class Fleet:
    """Tokens in turn in each kind of store, and each fifth in the next kind, too."""

    def __init__(self, servers: Servers, api: Sandbox, folder: Path, tokens: int) -> None:
        self._servers = servers
        self._api = api
        self._folder = folder
        self.places: dict[str, list[Place]] = {}
        text = _SETTINGS
        for number in range(tokens):
            count = 2 if number % 5 == 0 else 1
            sites = [self._new_site(number + each, f"{number}.env") for each in range(count)]
            secret = api.issue(days=0.9)  # due at once
            for site in sites:
                site.put(secret)
            name = f"bot-{number}"
            self.places[name] = [Place(site, site.neighbours()) for site in sites]
            stores = json.dumps([site.store_url for site in sites])
            text += f'[[token]]\nname = "{name}"\nstores = {stores}\n'
        (folder / "rotator.toml").write_text(text)
        policy = vault_site.documented_policy().replace("bots/luna", "bots/*")
        self._vault_token = servers.bao.token_for(policy, f"soak-{folder.name}", ttl="24h")

    def _new_site(self, number: int, file: str) -> Site:
        match number % _KINDS:
            case 0:
                return EnvFile(self._folder / file)
            case 1:
                return vault_site.Site(self._servers.bao)
            case 2:
                return aws_site.Site(self._servers.cloud)
        return kubernetes_site.Site(self._servers.cluster, self._folder)

    @contextmanager
    def doors(self, at: Callable[[str], bool]) -> Iterator[Doors]:
        """Open ways to the API and all servers for a rotator whose every request passes `at`."""
        bao, cloud, cluster = self._servers
        with ExitStack() as stack:
            upstreams = (self._api.url, bao.url, cloud.upstream, cluster.upstream)
            relays = [stack.enter_context(Relay(upstream, at)) for upstream in upstreams]
            api, vault, aws, kubernetes = (relay.url for relay in relays)
            admin = json.loads(cluster.kubeconfig.read_text())["users"][0]["user"]
            kubeconfig = self._folder / f"kubeconfig-{kubernetes.rpartition(':')[2]}"
            some_aws = next(
                place.site
                for places in self.places.values()
                for place in places
                if isinstance(place.site, aws_site.Site)
            )
            variables = {
                "NOCTURNA_API_URL": api,
                "NOCTURNA_ADMIN_EMAIL": self._api.admin_email,
                "NOCTURNA_ADMIN_PASSWORD": self._api.admin_password,
                "VAULT_ADDR": vault,
                "VAULT_TOKEN": self._vault_token,
                "KUBECONFIG": str(write_kubeconfig(kubeconfig, kubernetes, admin)),
                **some_aws.variables(aws),
            }
            yield Doors(variables, relays)

    def assert_a_bot_works(self, random: Random) -> None:
        """Let a bot read its token, and use it; one that was replaced meanwhile is read again."""
        name = random.choice(list(self.places))
        site = random.choice(self.places[name]).site
        seen: list[str | None] = []
        while (secret := site.secret()) not in seen:
            if secret and self._api.accepts(secret):
                return
            seen.append(secret)
        raise AssertionError(f"{name}: the API does not accept what {site.store_url} holds")

    def assert_all_is_in_order(self) -> None:
        """Check, while nobody is at work, that nothing was lost, left over or touched."""
        held = {name: _held(places) for name, places in self.places.items()}
        for name, secrets in held.items():
            assert len(secrets) == 1, f"the stores of {name} differ"
        alive = {row.secret: row.id for row in self._api.live_tokens()}
        dead = [name for name, (secret,) in held.items() if secret not in alive]
        assert not dead, f"{dead} have a token that the API does not accept"
        for (secret,) in held.values():
            del alive[secret]
        assert not alive, f"{sorted(alive.values())} are alive, and no store holds them"
        for places in self.places.values():
            for place in places:
                assert place.site.neighbours() == place.neighbours, place.site.store_url

    def minted(self) -> int:
        """Return how many tokens were made since the start."""
        return len(self._api.tokens) - len(self.places)

    def close(self) -> None:
        """Delete what would be left in the servers."""
        for places in self.places.values():
            for place in places:
                if isinstance(place.site, kubernetes_site.Site):
                    place.site.close()


def _held(places: Sequence[Place]) -> set[str]:
    return {place.site.secret() or "" for place in places}

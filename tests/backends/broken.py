"""Installations that are broken on purpose, each as people break theirs: a script with its result.

A script gets an installation that works, with a token that is not due, and does to it what somebody
did: a password was changed, a right taken away, a mount made read-only.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import tests.aws.site as aws_site
import tests.kubernetes.site as kubernetes_site
import tests.vault.site as vault_site
from tests.backends.kinds import Site
from tests.kubernetes.certificates import make, server_tls
from tests.kubernetes.plant import Plant
from tests.kubernetes.serving import serving
from tests.kubernetes.site import CHECKER
from tests.support.clock import ServersClock
from tests.support.process import Result, Runner
from tests.support.sandbox import Sandbox

_MFA = """
[profile mfa]
role_arn = arn:aws:iam::123456789012:role/rotator
mfa_serial = arn:aws:iam::123456789012:mfa/somebody
source_profile = base
[profile base]
aws_access_key_id = AKIAEXAMPLE
aws_secret_access_key = abc
"""


@dataclass
class Installation:
    """One token of one bot, in a file or behind a server; `keys` are those of its [[token]]."""

    rotator: Runner
    api: Sandbox
    clock: ServersClock
    site: Site | None
    keys: dict[str, object] = field(default_factory=dict)
    prefix: str = ""  # of the command, in sh

    def run(self, *arguments: str) -> Result:
        lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in self.keys.items())
        store = self.site.store_url if self.site else "dotenv:bot/.env"
        config = f'[[token]]\nname = "luna"\nstores = ["{store}"]\n{lines}'
        (self.rotator.folder / "rotator.toml").write_text(config)
        if self.prefix:
            return self.rotator.in_shell(f"{self.prefix} rotator {' '.join(arguments)}")
        return self.rotator(*arguments)

    @property
    def folder(self) -> Path:
        """Where the `.env` is."""
        return self.rotator.folder / "bot"

    @property
    def secret(self) -> str | None:
        """What the bot has."""
        if self.site:
            return self.site.secret()
        text = (self.folder / ".env").read_text()
        return text.partition("NOCTURNA_SERVICE_TOKEN=")[2].split("\n")[0]

    @property
    def content(self) -> object:
        """All that there is beside the bot's token."""
        if self.site:
            return self.site.secret(), self.site.neighbours()
        return {path.name: path.read_bytes() for path in self.folder.iterdir()}

    def set(self, **variables: str) -> None:
        self.rotator.env |= variables


Script = Callable[[Installation], AbstractContextManager[object] | None]


class Breakage(NamedTuple):
    """What a script breaks, by the kind of its store.

    The doctor's finding is about `topic`, and has both texts in its message: the fault, and what to
    do. `steps` are those at which the rehearsal fails; without any, a rotation works all the same.
    `rotates` says that a run writes a new token all the same, and fails as it will be lost.
    """

    script: Script
    kind: str
    topic: str
    fault: str
    remedy: str
    steps: tuple[str, ...] = ()
    rotates: bool = False


def change_the_password(there: Installation) -> None:
    (there.rotator.folder / "admin-password").write_text("the old one\n")


def take_the_admin_rights_away(there: Installation) -> None:
    there.api.add_user("bot@example.com", "a password")
    (there.rotator.folder / "admin-password").write_text("a password\n")
    there.set(NOCTURNA_ADMIN_EMAIL="bot@example.com")


def move_the_api(there: Installation) -> None:
    there.set(NOCTURNA_API_URL="http://127.0.0.1:9/api")


@contextmanager
def forget_the_ca(there: Installation) -> Iterator[None]:
    """Put the API behind a certificate of a CA that this machine does not know."""
    make(there.rotator.folder, "api", "api", "IP:127.0.0.1")
    cluster = there.site
    assert isinstance(cluster, kubernetes_site.Site)
    tls = server_tls(there.rotator.folder, "api", "api")
    with serving(cluster.cluster.stand_in, tls) as url:
        there.set(NOCTURNA_API_URL=f"{url}/api")
        yield


def set_the_clock_back(there: Installation) -> None:
    there.clock.ahead += timedelta(days=2)  # of the API: this machine's is then behind


def mount_read_only(there: Installation) -> None:
    folder = there.folder
    mounts = f"mount --bind {folder} {folder}; mount -o remount,bind,ro {folder}"
    there.prefix = f"unshare -m sh -ec '{mounts}; exec \"$@\"' sh"


def remove_the_program_of_a_hook(there: Installation) -> None:
    there.keys["hooks"] = [["restart-luna", "--now"]]


def mistype_a_notice_url(there: Installation) -> None:
    there.keys["notify"] = ["json://127.0.0.1:9/"]


def take_the_right_to_write_away(there: Installation) -> None:
    site = there.site
    if isinstance(site, vault_site.Site):
        policy = site.policy(to_look=True)
        there.set(VAULT_TOKEN=site.bao.token_for(policy, site.path.replace("/", "-")))
    elif isinstance(site, aws_site.Site):
        usual = (*aws_site.READING, *aws_site.WRITING)
        keys = site.aws.may(*(each for each in usual if each != "PutSecretValue"))
        there.set(**{name.upper(): value for name, value in keys.items()})
    elif isinstance(site, kubernetes_site.Site):
        there.set(**site.variables(site.upstream, CHECKER))


def let_vault_delete_early(there: Installation) -> None:
    assert isinstance(there.site, vault_site.Site)
    there.site.bao.call("POST", there.site.metadata, {"delete_version_after": "24h"})
    there.site.put(str(there.site.secret()))  # as an operator who edits the secret does


def let_vault_delete_before_the_end(there: Installation) -> None:
    assert isinstance(there.site, vault_site.Site)
    there.site.bao.call("POST", there.site.metadata, {"delete_version_after": "720h"})
    there.site.put(str(there.site.secret()))


def want_an_mfa_code(there: Installation) -> None:
    (there.rotator.folder / "aws-config").write_text(_MFA)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        del there.rotator.env[name]
    there.set(AWS_PROFILE="mfa", AWS_CONFIG_FILE=str(there.rotator.folder / "aws-config"))


def remove_the_workload(there: Installation) -> None:
    assert isinstance(there.site, kubernetes_site.Site)
    there.keys["restart"] = [Plant(there.site).name]


def encrypt_the_file(there: Installation) -> None:
    file = there.folder / ".env"
    file.write_text("$ANSIBLE_VAULT;1.1;AES256\n6162\n")


LOGIN, PREFLIGHT = ("login",), ("preflight",)
KEEP = "let the store keep what is written for longer"
BREAKAGES = (
    Breakage(
        change_the_password,
        "dotenv",
        "login",
        "refuses this e-mail and password",
        "check both",
        LOGIN,
    ),
    Breakage(take_the_admin_rights_away, "dotenv", "login", "not an admin", "use", LOGIN),
    Breakage(move_the_api, "dotenv", "api", "nothing listens at", "check its URL", LOGIN),
    Breakage(forget_the_ca, "kubernetes", "api", "is not trusted", "set", LOGIN),
    Breakage(set_the_clock_back, "dotenv", "clock", "2 days behind", "set it right", LOGIN),
    Breakage(mount_read_only, "dotenv", "store", "read-only file system", "mount", PREFLIGHT),
    Breakage(
        remove_the_program_of_a_hook, "dotenv", "hooks", "was not found", "install it", ("hook",)
    ),
    Breakage(mistype_a_notice_url, "dotenv", "hooks", "does not take", "check the URL", ("hook",)),
    Breakage(
        take_the_right_to_write_away, "vault", "store", "may not", "add to one of its", PREFLIGHT
    ),
    Breakage(take_the_right_to_write_away, "aws", "store", "PutSecretValue", "allow", PREFLIGHT),
    Breakage(
        take_the_right_to_write_away, "kubernetes", "store", "may not patch", "grant it", PREFLIGHT
    ),
    Breakage(
        let_vault_delete_early,
        "vault",
        "token",
        "is deleted by a store",
        KEEP,
        ("read-back",),
        rotates=True,
    ),
    Breakage(let_vault_delete_before_the_end, "vault", "token", "a store deletes it", KEEP),
    Breakage(want_an_mfa_code, "aws", "store", "wants an MFA code", "use a role", ("read",)),
    Breakage(
        remove_the_workload,
        "kubernetes",
        "restarts",
        "there is no Deployment",
        "create it",
        ("hook",),
    ),
    Breakage(encrypt_the_file, "dotenv", "store", "encrypted", "name another file", ("read",)),
)

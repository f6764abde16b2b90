"""The README's preparations of a server, as lines of sh for the throw-away machine."""

import re
import shutil
from pathlib import Path

from tests.cron.machine import ROOT
from tests.support.sandbox import Sandbox

ETC = "/etc/nocturna-rotator"


def pasted(title: str, page: str = "README.md") -> str:
    """Return the first block of sh in a section of a page, with a stand-in for sudo."""
    section = (ROOT / page).read_text().partition(f"# {title}\n")[2]
    found = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert found, title
    return 'sudo() { "$@"; }\n' + found[1]


def prepared(api: Sandbox, secret: str, shared: Path) -> str:
    """Return what a user does before cron or systemd can do anything.

    Only the installation is not the README's: the machine has the rotator under test already.
    """
    shutil.copytree(ROOT / "cron", shared / "cron")
    (shared / "password").write_text(f"{api.admin_password}\n")
    (shared / "token").write_text(f"NOCTURNA_SERVICE_TOKEN={secret}\n")
    block = pasted("On a server")
    install = re.findall(r"^sudo \S*(?:python3|pip) .*\n", block, re.MULTILINE)
    assert len(install) == 2
    for line in install:
        block = block.replace(line, "")
    return f"""
cd /srv
useradd --system luna
{block}
sed -i 's|https://your-api-server.com/api|{api.url}|' {ETC}/environment
echo {api.admin_email} > {ETC}/admin-email
cat password > {ETC}/admin-password
cat token > /srv/luna/.env
"""

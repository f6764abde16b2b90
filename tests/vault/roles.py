"""What an operator sets up for a login, and what can be seen of it."""

from tests.support.relay import Relay
from tests.vault.site import Site


def make_role(site: Site) -> str:
    """Make a role for this place, whose tokens live for an hour; return its path."""
    if "approle/" not in site.bao.call("GET", "sys/auth")["data"]:
        site.bao.call("POST", "sys/auth/approle", {"type": "approle"})
    role = {
        "token_policies": [named_policy(site)],
        "token_no_default_policy": True,
        "token_ttl": "3600s",
    }
    path = f"auth/approle/role/{named_policy(site)}"
    site.bao.call("POST", path, role)
    return path


def named_policy(site: Site) -> str:
    """Return the name of the policy that the docs print, for this place."""
    name = site.path.replace("/", "-")
    site.bao.call("PUT", f"sys/policies/acl/{name}", {"policy": site.policy()})
    return name


def revoke_tokens_of(site: Site) -> None:
    bao = site.bao
    for accessor in bao.call("LIST", "auth/token/accessors")["data"]["keys"]:
        about = bao.call("POST", "auth/token/lookup-accessor", {"accessor": accessor})
        if site.path.replace("/", "-") in about.get("data", {}).get("policies", ()):
            bao.call("POST", "auth/token/revoke-accessor", {"accessor": accessor})


def count(relay: Relay, call: str) -> int:
    return sum(moment.startswith("before ") and call in moment for moment in relay.moments)

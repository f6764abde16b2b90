"""What the variables are called: each may be set under OpenBao's name, or under Vault's."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Names:
    """Turns `ADDR` into BAO_ADDR where that is set, and into VAULT_ADDR otherwise."""

    of_openbao: frozenset[str]

    @classmethod
    def set_in(cls, environ: Mapping[str, str]) -> "Names":
        """Find out which names of OpenBao have a value; empty is as good as unset."""
        found = (name for name, value in environ.items() if name.startswith("BAO_") and value)
        return cls(frozenset(name.removeprefix("BAO_") for name in found))

    def __call__(self, name: str) -> str:
        """Return the variable whose value counts, or which is to be set."""
        return f"BAO_{name}" if name in self.of_openbao else f"VAULT_{name}"

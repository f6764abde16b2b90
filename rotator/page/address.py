"""`--listen`: where the page is. Imported at each start: it needs click alone."""

import re
from typing import NamedTuple

import click

LOOPBACK = "127.0.0.1"
_HIGHEST = 65535
_ADDRESS = re.compile(r"(?:(?:\[([0-9A-Fa-f:.%\w]+)\]|([\w.-]+)):)?([0-9]{1,5})", re.ASCII)
_EXPECTED = "[HOST:]PORT, such as 9464, 0.0.0.0:9464 or [::1]:9464"


class Address(NamedTuple):
    """A host, an IPv6 address without its brackets, and a port, of which 0 is any that is free."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_address(text: str) -> Address:
    """Read `[HOST:]PORT`; raises ValueError for anything else.

    Without a host it is this machine alone. `:9464`, which elsewhere means every interface, is
    refused: whoever wants to be reached by others has to say so.
    """
    match = _ADDRESS.fullmatch(text)
    if not match or int(match[3]) > _HIGHEST:
        raise ValueError(_EXPECTED)
    return Address(match[1] or match[2] or LOOPBACK, int(match[3]))


class _AddressType(click.ParamType[Address]):
    name = "address"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Address:
        try:
            return parse_address(str(value))
        except ValueError as error:
            self.fail(f"found {value!r}, expected {error}", param, ctx)


with_listen = click.option(
    "--listen",
    type=_AddressType(),
    metavar="[HOST:]PORT",
    help="Serve the status page there [HOST by default: 127.0.0.1].",
)

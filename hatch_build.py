"""Man pages, made of the commands' help when a wheel is built: one for each command.

Needs click alone: the command line loads everything else where it is used. Nothing in a page
depends on when or where it is made.
"""

import re
import shutil
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

if TYPE_CHECKING:
    import click

_FOLDER = "share/man/man1"
_SPECIAL = {"\\": r"\e", "-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti"}


class ManPages(BuildHookInterface[Any]):
    """Adds the pages to a wheel; an editable install has none."""

    PLUGIN_NAME = "custom"
    _made: Path | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make the pages, and name them to hatchling."""
        if version != "standard":
            return
        self._made = Path(tempfile.mkdtemp())
        for name, page in pages(Path(self.root)):
            file = self._made / name
            file.write_text(page, encoding="ascii")
            file.chmod(0o644)
            build_data["shared_data"][str(file)] = f"{_FOLDER}/{name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002 - hatchling's
        """Remove what was made."""
        if self._made:
            shutil.rmtree(self._made)


def pages(root: Path) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each page, for the source in a folder."""
    sys.path.insert(0, str(root))
    try:
        from click import Context  # noqa: PLC0415 - only a wheel needs it

        from rotator import __version__  # noqa: PLC0415 - it lies at `root`
        from rotator.cli.main import cli  # noqa: PLC0415 - (the same)

        context = Context(cli, info_name="rotator", **cli.context_settings)
        yield from _pages_of(cli, context, __version__)
    finally:
        sys.path.remove(str(root))


def _pages_of(
    command: "click.Command", context: "click.Context", version: str
) -> Iterator[tuple[str, str]]:
    from click import Context, Group  # noqa: PLC0415 - only a wheel needs it

    name = context.command_path.replace(" ", "-")
    inner = []
    if isinstance(command, Group):
        found = (
            (each, command.get_command(context, each)) for each in command.list_commands(context)
        )
        inner = [(each, Context(sub, context, each)) for each, sub in found if sub]
    yield f"{name}.1", "\n".join(_lines(command, context, inner, version)) + "\n"
    for _, context_of_inner in inner:
        yield from _pages_of(context_of_inner.command, context_of_inner, version)


def _lines(
    command: "click.Command",
    context: "click.Context",
    inner: "list[tuple[str, click.Context]]",
    version: str,
) -> Iterator[str]:
    name = context.command_path.replace(" ", "-")
    source = _escape(f"nocturna-rotator {version}")
    yield f'.TH "{_escape(name.upper())}" "1" "" "{source}" "rotator"'
    yield from (".nh", ".ad l")  # names of variables are not torn apart
    yield from (".SH NAME", rf"{_escape(name)} \- {_escape(_summary(command))}")
    pieces = " ".join(command.collect_usage_pieces(context))
    yield from (".SH SYNOPSIS", rf"\fB{_escape(context.command_path)}\fR {_escape(pieces)}")
    *text, end = _paragraphs(command.help or "")
    has_status = end.startswith("Exits ")
    yield ".SH DESCRIPTION"
    for paragraph in text if has_status else [*text, end]:
        yield from _paragraph(paragraph)
    if inner:
        yield ".SH COMMANDS"
        for each, sub in inner:
            yield from (".TP", rf"\fB{_escape(each)}\fR", _escape(_summary(sub.command)))
    yield ".SH OPTIONS"
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record and parameter.param_type_name == "option":
            option, meaning = record
            yield from (".TP", rf"\fB{_escape(option)}\fR", _escape(meaning))
    if has_status:
        yield ".SH EXIT STATUS"
        yield from _paragraph(end)
    if command.epilog:
        yield ".SH EXAMPLES"
        yield from _block(command.epilog.partition("Examples:\n")[2])
    parent = context.parent
    others = [f"{name}-{each}" for each, _ in inner]
    if parent:
        others.insert(0, parent.command_path.replace(" ", "-"))
    yield ".SH SEE ALSO"
    yield ", ".join(rf"\fB{_escape(each)}\fR(1)" for each in others)


def _summary(command: "click.Command") -> str:
    return command.get_short_help_str(limit=200).rstrip(".")


def _paragraphs(text: str) -> list[str]:
    return re.split(r"\n\n+", cleandoc(text))


def _paragraph(text: str) -> Iterator[str]:
    if text.startswith("\b\n"):  # click's mark for lines that are not to be wrapped
        yield from _block(text.removeprefix("\b\n"))
    else:
        yield from (".PP", _escape(" ".join(text.split())))


def _block(text: str) -> Iterator[str]:
    yield from (".PP", ".RS 4", ".nf")
    yield from (_escape(line) for line in textwrap.dedent(text).rstrip().splitlines())
    yield from (".fi", ".RE")


def _escape(text: str) -> str:
    """Return a text that troff prints as it is, in ASCII."""
    escaped = "".join(_SPECIAL.get(c, c if c.isascii() else f"\\[u{ord(c):04X}]") for c in text)
    return rf"\&{escaped}" if escaped.startswith(".") else escaped

"""`rotator completion`: a script that completes commands and token names in a shell."""

import click
from click.shell_completion import get_completion_class

from rotator.cli import options
from rotator.cli.main import cli


@options.examples(
    'eval "$(rotator completion bash)"    # in ~/.bashrc',
    'eval "$(rotator completion zsh)"     # in ~/.zshrc',
    "rotator completion fish > ~/.config/fish/completions/rotator.fish",
)
@click.command("completion", short_help="Print the completion script of a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> int:
    """Print the script that completes commands, options and token names."""
    if found := get_completion_class(shell):
        click.echo(found(cli, {}, "rotator", "_ROTATOR_COMPLETE").source())
    return 0

"""`tpc completion`"""

from __future__ import annotations

import click

LINES = {
    "bash": 'add to ~/.bashrc:                     eval "$(tpc completion bash)"',
    "zsh": 'add to ~/.zshrc:                      eval "$(tpc completion zsh)"',
    "fish": "save in ~/.config/fish/completions:   tpc completion fish > ~/.config/fish/completions/tpc.fish",
}


@click.command("completion", epilog="  ".join(LINES.values()))
@click.argument("shell", type=click.Choice(list(LINES)))
def command(shell: str) -> int:
    """Print a script that teaches a shell to complete tpc commands, functions and inputs."""
    from click.shell_completion import get_completion_class

    from tpc.cli import cli

    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(cli, {}, "tpc", "_TPC_COMPLETE").source())
    return 0

"""Help of commands that take the options of the table."""

from __future__ import annotations

from typing import Any, Final

import click

from config.options import GROUPS, Kind, Option

HELP_SETTINGS: Final[dict[str, Any]] = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


class OptionsCommand(click.Command):
    """A command whose options are those of config/options.py.

    They are not given to click one by one: `config.settings.load` reads them, and names everything that is wrong
    with them in one message. `words` are those that stand beside the options, for the line of usage.
    """

    def __init__(self, *args: Any, words: str = "", **kwargs: Any) -> None:
        """Let everything pass that click does not know."""
        self.words = words
        kwargs["context_settings"] = {"ignore_unknown_options": True, **HELP_SETTINGS}
        super().__init__(*args, **kwargs)
        self.params.append(click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED))

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return what stands behind the name of the command."""
        return [*self.words.split(), "[OPTIONS]"]

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options below the help of the command."""
        super().format_epilog(ctx, formatter)
        write_options(formatter)


class OptionsGroup(click.Group):
    """The `omni-metal` command: its help names the options too."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the commands in the order of their importance, as they are declared."""
        return list(self.commands)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options below the list of commands."""
        super().format_epilog(ctx, formatter)
        write_options(formatter)


def write_options(formatter: click.HelpFormatter) -> None:
    """Write the table of options, by groups."""
    formatter.write_paragraph()
    formatter.write_text(
        "Each option is also an environment variable (OMNI_METAL_ and its name in capitals, unless another is named "
        "below) and a key of the YAML file of --config. The command line beats the environment beats the file."
    )
    for group in GROUPS:
        with formatter.section(group.title):
            formatter.write_dl([(_usage(option), _text(option)) for option in group.options])


def _usage(option: Option) -> str:
    if option.environment_only or option.kind is Kind.SWITCH:
        return option.flag
    return f"{option.flag} {option.kind.name.replace('_', '-')}"


def _text(option: Option) -> str:
    notes = []
    if option.choices:
        notes.append(f"one of {', '.join(option.choices)}")
    if option.environment and not option.environment_only:
        notes.append(f"environment: {option.environment}")
    default = option.default_help or option.default
    if default and not (option.kind is Kind.SWITCH and default == "false"):
        notes.append(f"default: {default}")
    return f"{option.help} [{'; '.join(notes)}]" if notes else option.help

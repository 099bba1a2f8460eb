"""What the command line says of itself: its commands by task, and the right option in place of a wrong one."""

import difflib

from typer.core import TyperGroup

from zoo import index

TASKS = {
    "Train": ("train", "evaluate", "doctor", "new"),
    "Look": ("list", "info", "plot", "demo"),
    "Use": ("sample", "reconstruct", "interpolate", "continue", "encode", "score"),
    "Export": ("export",),
    "Data": ("datasets", "shards"),
    "Share": ("push", "fetch", "cache"),
}


class ByTask(TyperGroup):
    """The commands of `zoo` under their tasks, each with the first sentence of its help."""

    def format_commands(self, ctx, formatter):
        width = max(map(len, self.commands))
        for task, names in TASKS.items():
            with formatter.section(task):
                formatter.write_dl([(name.ljust(width), first_sentence(self.commands[name])) for name in names])


def first_sentence(command):
    """What a command does, without its full stop."""
    return " ".join(command.help.split()).partition(". ")[0].rstrip(".")


def right_option(wrong, command):
    """The clause that offers what `wrong`, an option that a command has not, may have been meant for; "" without one.

    For `zoo train` that is also a setting that --set or --recipe takes.
    """
    options = [option for parameter in command.params for option in parameter.opts if option.startswith("--")]
    known = {plain(option): option for option in options}
    if command.name == "train":
        known = {**settings("--set", "models"), **settings("--recipe", "recipes"), **known}
        known |= settings("--set", "encoders", "encoder.")
    found = difflib.get_close_matches(plain(wrong), known, n=1, cutoff=0.6)
    return f"; did you mean {known[found[0]]}?" if found else f"; `zoo {command.name} --help` lists them"


def settings(option, kind, prefix=""):
    """Argument of what is registered of a kind -> how an option sets it."""
    names = {name for entry in index.entries(kind) for name in entry.arguments}
    return {name: f"{option} {prefix}{name}=VALUE" for name in sorted(names)}


def plain(option):
    """An option as a name."""
    return option.lstrip("-").replace("-", "_")

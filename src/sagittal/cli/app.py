"""`sagittal`: finds the verb, and turns every failure into one line and the contract's exit code.

0 done; 2 bad input or usage; 3 refused on purpose; 1 a defect of ours.
"""

from __future__ import annotations

import errno
import importlib.util
import io
import json
import os
import sys
import traceback
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from sagittal.cli.common import complain
from sagittal.errors import Refused, SagittalError
from sagittal.version import __version__

VERBS = {
    "demo": "Sample studies, read by the bundled model, in the reading room.",
    "inspect": "What is in this study: series, geometry, problems.",
    "convert": "An image, or the mask drawn on it, as NIfTI.",
    "read": "Read a study into a drafted report with its evidence.",
    "segment": "Draw a structure.",
    "predict": "A probability a label for every study of a data set.",
    "pretrain": "Run a recipe: one file, one run; again to go on with it.",
    "adapt": "Fit a model to labelled local data.",
    "compare": "What changed between two readings of a patient.",
    "parse": "Report text into findings.",
    "render": "A reading as text for a reader.",
    "check": "Problems of a report, beside a reading or by itself.",
    "score": "Candidate reports against reference reports, by facts.",
    "phantom": "Studies whose truth is known.",
    "zoo": "Models: list, show.",
}


_PLACE = {errno.ENAMETOOLONG, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT}
"""What the system says of a path that the user gave; anything else it says is a defect of ours."""


class _Verbs(TyperGroup):
    """Imports a verb's module only when it is asked for, so that each starts fast."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [verb for verb in VERBS if importlib.util.find_spec(f"sagittal.cli.{verb}")]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(f"sagittal.cli.{cmd_name}")
        if hasattr(module, "app"):
            command = get_command(module.app)
        else:
            single = typer.Typer(add_completion=False, rich_markup_mode=None)
            single.command(help=getattr(module, cmd_name).__doc__)(getattr(module, cmd_name))
            command = get_command(single)
        command.name = cmd_name
        command.short_help = VERBS[cmd_name]
        return command


app = typer.Typer(
    cls=_Verbs,
    add_completion=False,
    no_args_is_help=False,
    rich_markup_mode=None,
    invoke_without_command=True,
)


@app.callback()
def _root(
    ctx: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version."),
) -> None:
    """Foundation models for radiology, from the pixels to a signed report."""
    if version:
        sys.stdout.write(f"sagittal {__version__}\n")
        raise typer.Exit()
    if ctx.invoked_subcommand is None:
        sys.stdout.write(ctx.get_help() + "\n")


def _fail(message: str, code: int) -> int:
    complain(message)
    return code


def _usage(error: Any) -> str:
    """What was wrong with the words, and whose help says what is right."""
    command = getattr(getattr(error, "ctx", None), "command_path", "sagittal")
    return f"{error.format_message().rstrip('.')}. Try: {command} --help"


def _defect(error: Exception) -> int:
    if os.environ.get("SAGITTAL_DEBUG"):
        traceback.print_exc()
    return _fail(
        f"a defect in sagittal ({type(error).__name__}: {error}); "
        "set SAGITTAL_DEBUG=1 for the traceback and please report it",
        1,
    )


def run(arguments: list[str]) -> int:
    """Run one command line; returns the exit code and never raises."""
    try:
        result = get_command(app).main(args=arguments, prog_name="sagittal", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except SagittalError as error:
        if isinstance(error, Refused) and "--json" in arguments:
            refusal = {"refused": error.reason, "wanted": error.wanted, "got": error.got}
            sys.stdout.write(json.dumps(refusal, ensure_ascii=False) + "\n")
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _fail("stopped", 130)
    except BrokenPipeError:
        # The reader of our stdout has gone; that is its decision, not a defect.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno in _PLACE:
            return _fail(f"{error.filename} cannot be used ({error.strerror}); choose another place", 2)
        return _defect(error)
    except Exception as error:
        if type(error).__name__ == "Abort":
            return _fail("stopped", 130)
        # Typer may carry its own copy of click, so usage errors are known by what they offer.
        if hasattr(error, "format_message") and hasattr(error, "exit_code"):
            return _fail(_usage(error), 2)
        return _defect(error)


def main() -> None:
    """Entry point of the ``sagittal`` command."""
    for stream in (sys.stdout, sys.stderr):
        # Whatever the terminal's language; a file name that is no text must not end in a traceback.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    sys.exit(run(sys.argv[1:]))

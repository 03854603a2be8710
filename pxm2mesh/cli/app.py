"""The typer application: which verbs there are, what they share, and how errors end."""

from __future__ import annotations

import importlib
import inspect
import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Annotated, Any, get_type_hints

import typer
from typer.core import TyperGroup

from pxm2mesh.cli.session import Session
from pxm2mesh.errors import Pxm2meshError
from pxm2mesh.processes import Terminated

VERBS = (
    "new",
    "check",
    "info",
    "phantom",
    "segment",
    "quantify",
    "surface",
    "mesh",
    "run",
    "solve",
    "sweep",
    "report",
    "movie",
    "compare",
    "export",
    "schema",
    "doctor",
)
"""In the order of the help page; each is a module here with a function of its name."""


Json = Annotated[bool, typer.Option("--json", help="Print the machine form.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only errors.")]
Verbose = Annotated[
    int, typer.Option("--verbose", "-v", count=True, help="Say what is being done; -vv: everything.")
]


class _InterruptedError(Pxm2meshError):
    exit_code = 130


class _TerminatedError(Pxm2meshError):
    exit_code = 143


def _with_shared_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """``verb`` with ``--json``, ``-q`` and ``-v``, which become the session in its context."""
    shared = {"as_json": (Json, False), "quiet": (Quiet, False), "verbose": (Verbose, 0)}

    def call(*, as_json: bool, quiet: bool, verbose: int, **arguments: Any) -> Any:
        session = Session(as_json=as_json, verbosity=-1 if quiet else verbose)
        session.configure_logging()
        arguments["context"].obj = session
        try:
            return verb(**arguments)
        except KeyboardInterrupt as told:  # typer would end without a word
            kind, what = (
                (_TerminatedError, "terminated")
                if isinstance(told, Terminated)
                else (_InterruptedError, "interrupted")
            )
            raise kind(f"{what};", hint="the same command goes on where it stopped.") from None

    hints = get_type_hints(verb, include_extras=True)
    own = [p.replace(annotation=hints[p.name]) for p in inspect.signature(verb).parameters.values()]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, (kind, default) in shared.items()
    ]
    call.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined]
    call.__annotations__ = hints | {n: k for n, (k, _) in shared.items()}
    call.__doc__ = verb.__doc__
    return call


class _InGivenOrder(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.commands)


def build() -> typer.Typer:
    """The application with all its verbs."""
    app = typer.Typer(
        name="pxm2mesh",
        cls=_InGivenOrder,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # rich help pages take twice as long as the rest of the start
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )

    @app.callback(epilog="pxm2mesh VERB --help shows an example for each.")
    def _pxm2mesh(
        version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True,
                                              callback=_print_version)] = False,
    ) -> None:  # fmt: skip
        """From X-ray tomography of battery electrodes to meshes and simulations."""

    for name in VERBS:
        module = importlib.import_module(f"pxm2mesh.cli.{name}")
        function = getattr(module, name)
        app.command(name, epilog=f"Example:\n\n\b\n  {module.EXAMPLE}")(_with_shared_options(function))
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        from pxm2mesh import __version__

        print(f"pxm2mesh {__version__}")
        raise typer.Exit


def run(arguments: Sequence[str]) -> int:
    """Run a verb; every way to end becomes an exit code and at most one line (and a hint) on stderr.

    Args:
        arguments: The command line without the program's name.

    Returns:
        The exit code.
    """
    usage_error: Any = typer.BadParameter.__mro__[1]  # click's own, which newer typer carries inside
    try:
        result = build()(list(arguments), standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except Pxm2meshError as error:
        return fail(error.message, error.hint or _remedy(error), error.exit_code)
    except usage_error as error:
        return fail(str(getattr(error, "message", "") or error), _usage_hint(error), 2)
    except (KeyboardInterrupt, typer.Abort):
        return fail("interrupted.", "", 130)
    except typer.Exit as error:
        return int(error.exit_code)
    except BrokenPipeError:  # the reader of a pipe has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError:
        return fail("not enough memory;", "crop the volume, or use a larger cell size.", 1)
    except OSError as error:
        from pxm2mesh.files import as_data_error

        told = as_data_error(error)
        return fail(told.message, told.hint, told.exit_code)
    except Exception as error:
        if logging.getLogger("pxm2mesh").isEnabledFor(logging.DEBUG):
            traceback.print_exc()
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{os.path.basename(where.filename)}:{where.lineno}"
        told_as = " ".join(str(error).split()) or "no message"
        return fail(f"internal error: {type(error).__name__} in {place}: {told_as};",
                    "please report it with the output of the same command and -vv.", 1)  # fmt: skip


_REMEDIES = {
    2: "see pxm2mesh --help and docs/reference.",
    3: "pxm2mesh info FILE says what a file holds.",
    4: "a smaller cell size or [clean] often helps; the place is where to look.",
    5: "try another cell size; the run folder's diagnostics show the place.",
    6: "log.txt in the run folder has the iterations; smaller steps or cells help most.",
    7: "pxm2mesh doctor says what is missing and what installs it.",
}
"""Where an error itself knows of none."""


def _remedy(error: Pxm2meshError) -> str:
    return _REMEDIES.get(error.exit_code, "the same command with -vv says more.")


def _usage_hint(error: Any) -> str:
    context = getattr(error, "ctx", None)
    return f"see {context.command_path} --help." if context is not None else "see pxm2mesh --help."


def fail(message: str, hint: str, code: int) -> int:
    """Say what went wrong on one line of stderr, the remedy with it; returns ``code``."""
    print(f"error: {message} {hint}".rstrip(), file=sys.stderr, flush=True)
    return code

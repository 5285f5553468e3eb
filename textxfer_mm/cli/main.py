"""The ``textxfer`` command. Only light imports here: ``textxfer --help`` must answer at once, without torch."""

import gc
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.text import Text
from typer.core import TyperGroup

from textxfer_mm.cli import (
    card,
    data,
    doctor,
    evaluate,
    export,
    features,
    glosses,
    interpolate,
    predict,
    quickstart,
    report,
    search,
    serve,
    timeline,
    toy_actions,
    train,
)
from textxfer_mm.errors import UserError, shown_message
from textxfer_mm.files import unwritable
from textxfer_mm.interrupts import TERMINATED, Terminated, end_data_workers, ending_on_sigterm
from textxfer_mm.memory import end_at_once
from textxfer_mm.registry_errors import explain_config_error
from textxfer_mm.version import __version__


class CommandGroup(TyperGroup):
    """Turns a user's mistake into one red line and exit status 2, Ctrl-C into 130, and SIGTERM into 143."""

    def invoke(self, ctx: typer.Context) -> object:
        """Run the subcommand."""
        try:
            with ending_on_sigterm():
                return super().invoke(ctx)
        except UserError as error:
            self._stop(error)
        except (KeyError, TypeError, ValueError, AssertionError) as error:
            explained = explain_config_error(error)
            if explained is None:
                raise
            self._stop(explained)
        except ModuleNotFoundError as error:
            if not error.name or error.name.partition('.')[0] == 'textxfer_mm':
                raise
            self._stop(UserError(_missing(error.name.partition('.')[0])))
        except OSError as error:
            reason = unwritable(error)
            if reason is not None:
                self._stop(UserError(f'{error.filename or "a file"} could not be written: {reason}.'))
            if not isinstance(error, PermissionError) or error.filename is None:
                raise
            self._stop(UserError(f'{error.filename}: {error.strerror}. Give what this user may read and write.'))
        except KeyboardInterrupt as interrupt:
            end_data_workers()
            self._tell('interrupted', interrupt)
            raise typer.Exit(130) from interrupt
        except Terminated as request:
            self._tell('terminated', request)
            raise typer.Exit(TERMINATED) from request

    @staticmethod
    def _tell(word: str, stop: BaseException) -> None:
        """Say in one line that it was ended, and what was kept, where whoever was ended says so."""
        kept = shown_message(stop)
        Console(stderr=True).print(Text(f'{word}: {kept}' if kept else word), soft_wrap=True)

    @staticmethod
    def _stop(error: UserError) -> NoReturn:
        """Print a user's mistake and end."""
        Console(stderr=True).print(Text(f'error: {shown_message(error)}', style='red'), soft_wrap=True)
        raise typer.Exit(2) from error


def _missing(module: str) -> str:
    """What to do about a module that this command imports and that is not there."""
    return (
        f'The Python package {module!r} is not installed, which this command needs: install textxfer_mm with its '
        'requirements (docs/install.md). Those of exported models alone are enough for `textxfer predict --model '
        'FILE.onnx` and nothing else.'
    )


app = typer.Typer(name='textxfer', cls=CommandGroup, add_completion=False, pretty_exceptions_enable=False)


def _print_version(wanted: bool) -> None:
    """Print the version and stop."""
    if wanted:
        typer.echo(f'textxfer_mm {__version__}')
        raise typer.Exit


@app.callback(no_args_is_help=True)
def textxfer(
    version: Annotated[
        bool, typer.Option('--version', callback=_print_version, is_eager=True, help='Print the version and exit.')
    ] = False,
) -> None:
    """Video and image recognition with the embeddings of class names as frozen classifiers."""


# One line a subcommand: its module imports typer and rich at the top and everything heavy inside the function.
app.command('predict')(predict.predict)
app.command('timeline')(timeline.timeline)
app.command('search')(search.search)
app.command('serve')(serve.serve)
app.command('evaluate')(evaluate.evaluate)
app.command('train')(train.train)
app.command('features')(features.features)
app.command('report')(report.report)
app.command('card')(card.card)
app.command('export')(export.export)
app.command('glosses')(glosses.glosses)
app.command('interpolate')(interpolate.interpolate)
app.command('quickstart')(quickstart.quickstart)
app.command('toy-actions')(toy_actions.toy_actions)
app.command('doctor')(doctor.doctor)
app.add_typer(data.app)


def main() -> None:
    """Entry point of the console script."""
    gc.set_threshold(200_000)  # imports make hundreds of thousands of objects, and nearly all of them stay
    end_at_once()
    app()

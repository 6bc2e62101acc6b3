"""The command line -> one frozen ``Recipe``. Nothing heavy is imported here."""

import argparse
import os
import sys
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError

from gtzan_lightning.errors import EXTRAS, UserError, refused
from gtzan_lightning.files import replacing
from gtzan_lightning.recipe import completion, recipes
from gtzan_lightning.recipe.model_settings import MODEL_SETTINGS
from gtzan_lightning.recipe.protocol_names import PROTOCOLS
from gtzan_lightning.recipe.quick import QUICK
from gtzan_lightning.recipe.recipe_flags import add_recipe
from gtzan_lightning.recipe.recipes import Layer, Recipe, as_flags, build_recipe, doc, near
from gtzan_lightning.recipe.series import Series, folds_of
from gtzan_lightning.recipe.settings import TrackSettings
from gtzan_lightning.terminal import harmless, shown

LAST = "last"  # --run last: the newest run; --resume last: the newest unfinished of this recipe
SHORT = 8  # digits of a run's id that tables show
BEST = "best"  # --run best: the highest score on valid songs
READY = "ready"  # --run ready: the checkpoint that comes with the package
_NOT_SETTINGS = ("model", "config", "resume", "print_config", "list", "seeds", "folds", "workers",
                 "quick")  # fmt: skip
_CHOOSE = f"choose a model with --model: {', '.join(MODEL_SETTINGS)}"


class Parser(argparse.ArgumentParser):
    """argparse whose complaints are one line and name the nearest flag.

    Args:
        command: such as ``run``: it was called as ``gtzan run`` or ``experiments/run.py``.
    """

    as_written = argparse.RawDescriptionHelpFormatter  # keeps the lines of an epilog

    def __init__(self, command: str, description: str | None = None, **options: Any) -> None:
        gtzan = Path(sys.argv[0]).stem == "gtzan"
        prog = f"gtzan {command}" if gtzan else f"experiments/{command}.py"
        super().__init__(prog=prog, description=description, allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """Raise the UserError of a wrong command line."""
        raise UserError(f"{message} (see {self.prog} --help)")

    def parse_all(self, argv: list[str], before: "Parser | None" = None) -> argparse.Namespace:
        """The flags; UserError for one that is unknown, which comes before one that is missing.

        Args:
            before: has taken its own flags out of ``argv``.
        """
        actions = [*self._actions, *(before._actions if before else [])]
        if completion.wanted():
            completion.complete(self, actions)
        known = [option for action in actions for option in action.option_strings]
        given = (w.partition("=")[0] for w in takewhile(lambda w: w != "--", argv))
        unknown = [flag for flag in given if flag.startswith("--") and flag not in known]
        if unknown:
            hint = near(unknown[0], known)
            raise UserError(f"unknown flag {unknown[0]!r}{hint} (see {self.prog} --help)")
        args, words = self.parse_known_args(argv)
        if words:
            raise UserError(f"unknown word {words[0]!r} (see {self.prog} --help)")
        return args

    def add_track(self, *names: str) -> None:
        """``--track.NAME`` flags of a command that reads runs; see ``track_of``."""
        for name in names:
            field = TrackSettings.model_fields[name]
            self.add_argument(f"--track.{name}", default=field.default, help=field.description)

    def add_run(self, many: str = "") -> None:
        """``--run`` of a command that uses a trained model; ``many`` says what several do."""
        self.add_argument(
            "--run", metavar="RUN", nargs="+" if many else None, default=[READY] if many else READY,
            help="run (id or its beginning, name, last, best: gtzan runs lists them), checkpoint, "
            "models:/NAME/1, hf://OWNER/NAME"
            f"{many and '; several '}{many} (the model that comes with the package)",
        )  # fmt: skip

    def add_raw(self) -> None:
        """The flag ``--raw`` of a command that gives probabilities."""
        words = "the network's own probabilities, without the temperature of the checkpoint"
        self.add_argument("--raw", action="store_true", help=words)


def guarded(main: Callable[[list[str]], int | None]) -> NoReturn:
    """Run an entry point: errors, limits of the machine, a missing library of an extra and Ctrl-C
    become one line on stderr (status 2, 2, 2, 130)."""
    try:
        try:
            if completion.wanted():
                completion.answer(main)
            raise SystemExit(main(sys.argv[1:]) or 0)
        finally:
            sys.stdout.flush()
    except UserError as error:
        status, message = 2, f"error: {shown(as_flags(str(error)))}"
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        extra = EXTRAS[error.name]
        status, message = 2, f"error: {error.name} is missing: pip install -e '.[{extra}]'"
    except BrokenPipeError:  # such as of `| head`; what is left to print goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        status, message = 130, "interrupted"
    except (OSError, MemoryError, RuntimeError, ImportError) as error:
        if (line := refused(error)) is None:
            raise
        status, message = 2, f"error: {shown(as_flags(line))}"
    print(harmless(message), file=sys.stderr)  # names of files are in it
    raise SystemExit(status)


def write_output(file: Path, content: str | bytes) -> None:
    """What a command made into the file that a flag names, whole or not at all.

    Raises:
        UserError: it can't be written there.
    """
    try:
        with replacing(file) as part:
            part.write_bytes(content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise UserError(f"{file} can't be written: {error.strerror}") from None


def track_of(args: dict[str, Any]) -> TrackSettings:
    """The MLflow store that ``Parser.add_track``'s flags name.

    Raises:
        UserError: a user's name or password in the address.
    """
    try:
        return TrackSettings(**recipes.nested(args)["track"])
    except ValidationError as error:
        raise UserError(recipes.complaint(error)) from None


def parse_run(
    argv: list[str], command: str = "run", before: Parser | None = None
) -> tuple[Recipe, str | None]:
    """Recipe of one run, and the run to resume, as ``parse_series`` gives them."""
    series = parse_series(argv, command, before=before)
    return series.recipe, series.resume


def parse_series(
    argv: list[str],
    command: str = "run",
    find: Callable[[str, str], str] | None = None,
    before: Parser | None = None,
) -> Series:
    """The runs that flags ask for.

    Args:
        find: what ``--resume`` names and the folder of the runs -> the id of the run.
        before: as ``Parser.parse_all`` takes it.

    Raises:
        UserError: an unknown model, flag or recipe key, a value of the wrong type or out of bounds.
        SystemExit: after ``--help``, ``--list`` and ``--print_config``.
    """
    name, layers = _named(argv, command)
    own = build_recipe(name, layers, {}) if name is not None else None
    args = vars(_full_parser(command, own).parse_all(argv, before))
    if args["list"]:
        print(listing(args["list"]))
        raise SystemExit(0)
    if args["resume"] and (args["resume"] != LAST or name is None):
        return _resumed(args, find)
    if name is None:
        raise UserError(_CHOOSE)
    recipe = build_recipe(name, layers, _flags_given(args))
    if args["print_config"]:
        print(recipes.dump(recipe), end="")
        raise SystemExit(0)
    workers = args.get("workers", 1)
    if workers < 1:
        raise UserError(f"--workers {workers}: at least 1")
    folds = folds_of(args.get("folds"), recipe)
    return Series(recipe, args["resume"], args.get("seeds"), folds, workers)


def _resumed(args: dict[str, Any], find: Callable[[str, str], str] | None) -> Series:
    """The run that ``--resume`` names, with its own recipe."""
    others = set(args) - {*_NOT_SETTINGS, "track.folder", "fit.open_test"}
    if others or args["model"] or args["config"]:
        raise UserError(
            "--resume RUN takes no settings but --track.folder and --open-test: the run has its "
            "own recipe"
        )
    folder = args.get("track.folder", TrackSettings().folder)
    run = find(args["resume"], folder) if find else args["resume"]
    opens = args.get("fit.open_test") == "true"
    return Series(recipes.interrupted_recipe(folder, run, opens), run, None, None, 1)


def parse_layers(
    argv: list[str], command: str, before: Parser | None = None
) -> tuple[str, list[Layer], dict[str, Any]]:
    """Model, recipes and flags of a command that varies the recipe: ``build_recipe``'s arguments.

    Raises:
        UserError: as ``parse_run`` does.
    """
    name, layers = _named(argv, command)
    own = build_recipe(name, layers, {}) if name is not None else None
    args = vars(_full_parser(command, own).parse_all(argv, before))
    if name is None:
        raise UserError(_CHOOSE)
    return name, layers, _flags_given(args)


def check_flags(argv: list[str], command: str, before: Parser) -> None:
    """Raise UserError for a flag that no recipe has."""
    _full_parser(command, None).parse_all(argv, before)


def _named(argv: list[str], command: str) -> tuple[str | None, list[Layer]]:
    """The chosen model, and the recipes that flags override."""
    first = Parser(command, add_help=False)
    first.add_argument("--model")
    first.add_argument("--config", action="append", default=[])
    first.add_argument("--quick", action="store_true")
    chosen, _ = first.parse_known_args([a for a in argv if a not in ("-h", "--help")])
    layers = [(file, recipes.read_recipe(Path(file))) for file in chosen.config]
    name = chosen.model or next((m for _, r in reversed(layers) if (m := _model_of(r))), None)
    if name == "custom":
        raise UserError("a custom network is trained from Python: train(recipe, network=...)")
    if name is None:
        return name, layers
    return name, [*recipes.layers_of(name, layers), *[QUICK] * chosen.quick]


def listing(what: str) -> str:
    """Models or protocols, with a line on each."""
    if what == "models":
        return "\n".join(f"{n:14} {doc(c)}" for n, c in MODEL_SETTINGS.items())
    return "\n".join(f"{name:14} {line}" for name, line in PROTOCOLS.items())


def _full_parser(command: str, before: Recipe | None) -> Parser:
    """The flags, with the values that recipes give them as defaults in the help."""
    parser = Parser(
        command,
        "Train and test a genre classifier and record the run.",
        usage="%(prog)s --model NAME [--section.key value ...] [--config FILE] [--seed N]",
        epilog="example: run.py --model efficientnet --data.root data/gtzan --data.split filtered",
    )
    add_recipe(parser, command, before)
    return parser


def _flags_given(args: dict[str, Any]) -> dict[str, Any]:
    given = {flag: value for flag, value in args.items() if flag not in _NOT_SETTINGS}
    none = ("none", "null", ["none"])
    return recipes.nested({flag: None if v in none else v for flag, v in given.items()})


def _model_of(recipe: dict[str, Any]) -> str | None:
    model = recipe.get("model")
    return model.get("name") if isinstance(model, dict) else model

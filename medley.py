"""The command line: parses arguments and calls the packages.  Imports are lazy, so that --help is quick."""

import json
import os
import signal
import sys
import threading
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

INTERRUPTED = 130

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Medley: exact worlds for the theory of learning from user edits.",
)

SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a setting; may be repeated.")
]
PluginOption = Annotated[
    list[Path] | None, typer.Option("--plugin", help="Python file that registers a world, user, learner or bound.")
]


@app.command()
def run(
    regime: Annotated[str | None, typer.Argument(help="A shipped regime or a TOML file; default: tradeoffs.")] = None,
    set_: SetOption = None,
    out: Annotated[Path | None, typer.Option(help="Result folder; default runs/<regime>-<UTC time>.")] = None,
    seeds: Annotated[int | None, typer.Option(help="Logs per cell; the same as --set seeds=N.")] = None,
    dask: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Run on the Dask cluster of this scheduler.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue, extend or redraw what --out holds.")] = False,
    plugin: PluginOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the resolved regime, its cells and their cost.")
    ] = False,
) -> None:
    """Simulate a regime, compare the learners, draw the figures and write the report."""
    from bounds.beside import theory_beside
    from sim import BadInput, regimes
    from sim.compiled import cache_compiled_code
    from sim.progress import ProgressBar
    from sim.runs import run as simulate

    if resume and out is None:
        raise BadInput("--resume: which folder? add --out DIR")
    stored = out / "regime.toml" if resume and out is not None else None
    source = regime or (str(stored) if stored and stored.exists() else regimes.DEFAULT)
    overrides = [*(set_ or []), *([f"seeds={seeds}"] if seeds is not None else [])]
    loaded = regimes.load(source, overrides, plugin)
    if dry_run:
        from sim.estimate import in_words

        print(in_words(loaded))
        return
    folder = out or _fresh_folder(loaded.name)
    cache_compiled_code()
    told: list[str] = []
    # A cluster takes long beside the theory, and what is resumed may be done.
    beside = nullcontext(lambda: None) if dask or resume else theory_beside(loaded)
    with beside as theory, ProgressBar(loaded.name) as progress:
        simulate(
            loaded, folder, resume=resume, dask=dask, progress=progress,
            finish=lambda table: told.append(_finished(folder, loaded, table, theory())),
        )  # fmt: skip
    print(f"{loaded.title or loaded.name}\n{loaded.claim}\n\n{told[0]}\n\nResults: {folder}/report.html")


def _finished(folder: Path, regime: Any, table: Any, theory: Any) -> str:
    from figures.results import finish

    return finish(folder, regime, table, theory)


@app.command()
def regimes() -> None:
    """List the regimes that ship."""
    from sim.regimes import shipped

    for name, table in shipped().items():
        print(f"{name:22s} {table.get('run_time', ''):>9s}  {table['title']}")


@app.command()
def world(
    family: Annotated[str, typer.Argument(metavar="FAMILY|FILE.npz", help="A world family or a world file.")],
    set_: SetOption = None,
    json_: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
    plugin: PluginOption = None,
) -> None:
    """Print the exact truths of one world, and which assumptions hold, by how much."""
    from bounds import truths
    from bounds.truths import readable
    from sim import families, overrides, plugins

    plugins.load(plugins.read(plugin or []))
    parameters, user = overrides.of_world(set_ or [])
    built = families.world(family, user=user, **parameters)
    values = truths(built) | families.extras(family, parameters)
    print(json.dumps(values, allow_nan=False) if json_ else readable(values))


@app.command()
def predict(
    family: Annotated[str, typer.Argument(metavar="FAMILY|FILE.npz", help="A world family or a world file.")],
    learner: Annotated[str, typer.Option(help="sup, pref, early, cost, edit-model, or a plug-in's.")],
    lam: Annotated[float | None, typer.Option(help="Weight of supervision in early; default 1.")] = None,
    link: Annotated[str | None, typer.Option(help="balance or paper, for pref and early; default balance.")] = None,
    radius: Annotated[float | None, typer.Option(help="Confidence radius of cost: 0 plug-in, 1 pessimistic.")] = None,
    form: Annotated[str | None, typer.Option(help="redraw or lazy, for edit-model; default redraw.")] = None,
    set_: SetOption = None,
    n: Annotated[int | None, typer.Option("--n", help="Logged triples: adds the prediction and the bounds.")] = None,
    delta: Annotated[float, typer.Option(help="Bounds hold with probability 1 - delta.")] = 0.05,
    json_: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
    plugin: PluginOption = None,
) -> None:
    """Print the limit and the 1/n coefficient of a learner's SubOpt; with --n its prediction and bounds."""
    from bounds.predictions import predictions, readable
    from sim import families, learners, overrides, plugins
    from sim.compiled import cache_compiled_code

    plugins.load(plugins.read(plugin or []))
    parameters, user = overrides.of_world(set_ or [])
    given = {"lam": lam, "link": link, "radius": radius, "form": form}
    made = learners.make(learner, **{key: value for key, value in given.items() if value is not None})
    cache_compiled_code()
    values = predictions(made, families.world(family, user=user, **parameters), n, delta)
    print(json.dumps(values, allow_nan=False) if json_ else readable(values))


@app.command()
def figures(
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID ...]", help="Figures; default: all.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the figures; default runs/figures-<UTC time>. One that exists goes on."),
    ] = None,
    from_: Annotated[
        Path | None, typer.Option("--from", metavar="DIR", help="Redraw what this folder stores; simulate nothing.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Every figure at its smallest useful setting.")] = False,
) -> None:
    """Regenerate the figures, each with its numbers (CSV) and provenance (JSON)."""
    from sim import BadInput
    from sim.compiled import cache_compiled_code

    if from_ is not None and quick:
        raise BadInput("--quick: a setting of runs, but --from redraws what is stored; leave one of them out")
    from figures import regenerate
    from sim.progress import ProgressBar

    folder = out or _fresh_folder("figures")
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"--out {folder}: expected a folder, got a file")
    cache_compiled_code()
    if from_ is not None:
        written = regenerate.redraw(ids or [], from_, folder)
    else:
        written = regenerate.make(regenerate.chosen(ids or []), folder, quick, ProgressBar)
    for told in written:
        print(f"{told['id']}: {told['claim'] if told['setting'] == 'full' else told['title']}")
    size = "" if not quick else "  (the quick setting: too small for the claims of the full one)"
    print(f"\nResults: {folder}/ID.svg, .png, .csv, .json{size}")


@app.command()
def llm(
    preset: Annotated[
        str | None, typer.Option(help="micro, tiny (two processor cores; the default) or small (a GPU).")
    ] = None,
    task: Annotated[
        list[str] | None, typer.Option(help="summarization or email; may be repeated; default: both.")
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="Logs per task and user; the same as --set seeds=N.")] = None,
    out: Annotated[Path | None, typer.Option(help="Result folder; default runs/llm-<preset>-<UTC time>.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue, extend or redraw what --out holds.")] = False,
    log: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Learn from this log (Parquet) instead of simulated users'.")
    ] = None,
    set_: SetOption = None,
) -> None:
    """Learn from edits with a small language model: the paper's tables, online curves, samples, theory from the log."""
    from sim import BadInput
    from sim.compiled import cache_compiled_code
    from sim.progress import ProgressBar

    if resume and out is None:
        raise BadInput("--resume: which folder? add --out DIR")
    try:
        from sim.llm import domains, presets, study
        from sim.llm.folder import settings_of
        from sim.llm.logs import read
    except ModuleNotFoundError as error:
        raise BadInput(f"medley llm: needs the package '{error.name}'; pip install 'medley[llm]'") from None
    stored = settings_of(out) if resume and out is not None else None
    chosen = presets.study(preset, task, seeds, set_, stored)
    given = None if log is None else read(log)
    cache_compiled_code()
    if given is not None and not set(given["task"]) & set(domains.TASKS):
        _theory_alone(given, out)
        return
    chosen, given = study.of_log(chosen, given)
    folder, told = out or _fresh_folder(f"llm-{chosen.preset}"), list[str]()
    with ProgressBar(f"llm {chosen.preset}", "step") as progress:
        study.run(
            chosen, folder, resume=resume, log=given, progress=progress,
            finish=lambda: told.append(_finished_llm(folder)),
        )  # fmt: skip
    print(f"{told[0]}\n\nResults: {folder}/report.html")


def _theory_alone(log: Any, out: Path | None) -> None:
    """Print what theory says of a log whose tasks are none of the text world's: nothing can be trained on it."""
    from bounds.from_logs import prediction
    from bounds.from_logs_text import readable
    from sim.files import empty_folder, write_text
    from sim.llm.traits import TRAITS

    if out is not None:
        empty_folder(out)
    predicted, tasks = prediction(log, TRAITS), ", ".join(sorted(set(log["task"])))
    told = f"Tasks {tasks}: none of the text world's, so nothing is trained.\n\n{readable(predicted)}"
    if out is not None:
        write_text(out / "theory.json", json.dumps(predicted, indent=2, allow_nan=False) + "\n")
        write_text(out / "summary.txt", told + "\n")
        told += f"\n\nResults: {out}/summary.txt, theory.json"
    print(told)


def _finished_llm(folder: Path) -> str:
    from figures.llm_results import finish

    return finish(folder)


@app.command()
def bench(
    json_: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
    scaling: Annotated[bool, typer.Option("--scaling", help="Measure how time and memory grow, and draw it.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Result folder; default of --scaling: runs/bench-<UTC time>, else none.")
    ] = None,
) -> None:
    """Measure speed against scikit-learn and SciPy; with --scaling, growth with the size of a world."""
    from sim.bench import speed
    from sim.compiled import cache_compiled_code
    from sim.files import empty_folder, write_text

    folder = out or (_fresh_folder("bench") if scaling else None)
    if folder is not None:
        empty_folder(folder)
    if scaling:
        assert folder is not None
        _scaling(folder, json_)
        return
    cache_compiled_code()
    values = speed.measure()
    text = json.dumps(values, allow_nan=False)
    if folder is not None:
        write_text(folder / "bench.json", text + "\n")
    print(text if json_ else speed.readable(values))


def _scaling(folder: Path, json_: bool) -> None:
    from figures import scaling as pictures
    from sim.bench import scaling
    from sim.progress import ProgressBar

    with ProgressBar("scaling", "point") as progress:
        table = scaling.measure(folder / "scaling.csv", progress=progress)
    drawn = pictures.save_all(table, folder)
    if json_:
        print(json.dumps(scaling.as_json(table), allow_nan=False))
    else:
        print(f"{scaling.readable(table)}\n\n{drawn[0]['caption']}\n\nResults: {folder}/scaling.csv, scaling.png")


def _fresh_folder(name: str) -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    folder = Path("runs") / f"{name}-{stamp}"
    number = 2
    while folder.exists():
        folder, number = Path("runs") / f"{name}-{stamp}-{number}", number + 1
    return folder


def main() -> None:
    """Run the command line; bad input is one line on stderr and exit status 2."""
    status = _status()
    if status == INTERRUPTED:
        _end_at_once(status)
    sys.exit(status)


def _status() -> int:
    stopped = _noting_interrupts()
    try:
        status = app(standalone_mode=False)
        # The argument parser turns Ctrl-C into this status without a word.
        status = _interrupted() if status == INTERRUPTED else status
    except (typer.Abort, KeyboardInterrupt):
        status = _interrupted()
    except Exception as error:
        if stopped:
            # A library that was stopped while it was imported fails in its own words.
            return _interrupted()
        # Told apart by name and method: importing the classes would make --help slow.
        if hasattr(error, "format_message"):
            status = _usage(error)
        elif type(error).__name__ == "BadInput":
            status = _refuse(str(error))
        elif type(error).__name__ == "TasksFailed":
            status = _refuse(str(error), 1)
        else:
            raise
    return status if isinstance(status, int) else 0


def _end_at_once(status: int) -> None:
    """Leave without taking the libraries down: one that was interrupted while it compiled may crash then."""
    for stream in (sys.stdout, sys.stderr):
        # Ctrl-C in a pipe also ends whoever reads there.
        with suppress(AttributeError, OSError, ValueError):
            stream.flush()
    os._exit(status)


def _noting_interrupts() -> list[int]:
    """From now on Ctrl-C adds to this list, beside stopping what runs."""
    stopped: list[int] = []

    def stop(number: int, _: object) -> None:
        stopped.append(number)
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, stop)
        sys.unraisablehook = _unraisable
    return stopped


def _unraisable(told: Any) -> None:
    if told.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(told)
        return
    # Ctrl-C while an object is cleared away stops nothing: it comes again, when that is over.
    again = threading.Timer(0.05, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT))
    again.daemon = True
    # At the very end there is nothing left to stop, and no thread can be started.
    with suppress(RuntimeError):
        again.start()


_GOES_ON = {
    "run": "; what is finished is stored, and medley run --resume --out DIR goes on",
    "figures": "; what is finished is stored, and the same command with --out DIR goes on",
    "llm": "; what is finished is stored, and the same command with --resume --out DIR goes on",
}


def _interrupted() -> int:
    if threading.current_thread() is threading.main_thread():
        # A second Ctrl-C would break off the way out, which is short, in the words of a library.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(OSError, ValueError):
        _refuse(f"interrupted{_GOES_ON.get(''.join(sys.argv[1:2]), '')}")
    return INTERRUPTED


def _usage(error: Any) -> int:
    # A usage error of the argument parser; asking for nothing at all gets the help instead.
    if type(error).__name__ == "NoArgsIsHelpError":
        print(error.format_message())
        return 2
    return _refuse(error.format_message())


def _refuse(message: str, status: int = 2) -> int:
    print(f"medley: {' '.join(message.split())}", file=sys.stderr)
    return status


if __name__ == "__main__":
    main()

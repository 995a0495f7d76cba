"""One run of `medley llm`: agents, logs, learners and online rounds, each stored as soon as it is finished."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import monotonic

import jax.numpy as jnp
import pandas as pd

from sim import machine
from sim.errors import BadInput
from sim.files import write_text
from sim.llm import agent as agents
from sim.llm import checkpoints, folder, learners, memory, protocol, speed
from sim.llm import logs as log_files
from sim.llm.agent import Agent
from sim.llm.domains import TASKS
from sim.llm.estimates import by_setting
from sim.llm.learners import Learner
from sim.llm.meter import Meter
from sim.llm.presets import Study
from sim.llm.seeds import number
from sim.llm.transformer import Transformer
from sim.llm.users import User, make

TEST_USERS = ("strong", "other")
"""Who edits online: the strong user, and the one with other wording of the same preferences."""

PACKAGES = ("equinox", "optax", "tokenizers", "rapidfuzz", "safetensors")
"""What a run depends on beside the packages of every run."""

SHOWN = 4
"""Rounds of every policy that are stored in full."""


@dataclass(frozen=True)
class Bench:
    """What every part of a run needs.

    Fields:
        study: what is run.
        folder: of the results.
        meter: hears of the work that is done.
        log: the log of a user's own instead of simulated ones.
        own: users that are none of the text world's, by name.
    """

    study: Study
    folder: Path
    meter: Meter
    log: pd.DataFrame | None = None
    own: Mapping[str, User] = field(default_factory=dict)

    def user(self, name: str) -> User:
        """A user by name."""
        return self.own[name] if name in self.own else make(name)

    @property
    def test_users(self) -> dict[str, User]:
        """Who edits in the online rounds."""
        return {name: self.user(name) for name in dict.fromkeys((*TEST_USERS, *self.own))}


def run(
    study: Study,
    out: Path,
    *,
    resume: bool = False,
    log: pd.DataFrame | None = None,
    users: Mapping[str, User] | None = None,
    progress: Callable[[int, int], None] | None = None,
    finish: Callable[[], None] | None = None,
) -> Path:
    """Run a study into a folder.

    Args:
        study: what to run.
        out: the result folder.
        resume: go on with what the folder holds.
        log: from `sim.llm.logs.read`: learn from these edits instead of from simulated users'.
        users: of your own by name, such as `sim.llm.http_user.HttpUser`: they edit online beside the others, and the
            logs where `study.users` names them.
        progress: called with (work done, work in all), in steps of training.
        finish: called at the end, while the folder is still closed to other runs.

    Raises:
        BadInput: a folder that cannot be used, or holds a study with other settings; a study that
            does not fit into the device's memory.
    """
    started = monotonic()
    memory.check(study)
    with ExitStack() as stack:
        stack.enter_context(memory.told(study))
        stack.callback(folder.opened(study, out, resume, log, users or {}).close)
        bench = Bench(study, out, Meter(work(study), progress), log, users or {})
        before, models = wall_seconds(out), _models(out)
        for task in study.tasks:
            _task(bench, task)
            _provenance(out, before + monotonic() - started)
        folder.finish(out)
        if _models(out) != models or not (out / "speed.json").exists():
            last = agents.agent(study, study.tasks[-1], out / "models" / study.tasks[-1])
            write_text(out / "speed.json", json.dumps(speed.measure(study, last), indent=2) + "\n")
        _provenance(out, before + monotonic() - started)
        if finish is not None:
            finish()
    return out


def wall_seconds(out: Path) -> float:
    """The time that earlier sessions of a run have told of: up to the last task that each finished."""
    try:
        return float(json.loads((out / "provenance.json").read_text())["wall_seconds"])
    except (OSError, ValueError, LookupError, TypeError):
        return 0.0


def _provenance(out: Path, seconds: float) -> None:
    told = {"finished": datetime.now(UTC).isoformat(timespec="seconds"), "wall_seconds": seconds}
    made = machine.made_with(PACKAGES) | told
    write_text(out / "provenance.json", json.dumps(made, indent=2, sort_keys=True) + "\n")


def _models(out: Path) -> set[Path]:
    return set((out / "models").rglob("*.safetensors"))


def work(study: Study) -> int:
    """The steps of training in all; generation takes about a tenth of the time and is not counted."""
    s = study.settings
    settings = sum(_steps(study, seed) for seed in range(s.seeds))
    return len(study.tasks) * (s.pretraining_steps + len(study.users) * settings)


def _steps(study: Study, seed: int) -> int:
    """The steps of training for one log; the first tries all learning rates."""
    tried = len(study.settings.learning_rates) if seed == 0 else 1
    return study.settings.steps * tried * len(learners.learners(study.settings))


def _task(bench: Bench, task: str) -> None:
    """One task: its reference policy, then every log of every user."""
    end = bench.meter.done + bench.study.settings.pretraining_steps
    found = agents.agent(bench.study, task, bench.folder / "models" / task, bench.meter.add)
    bench.meter.reach(end)
    for user in bench.study.users:
        for seed in range(bench.study.settings.seeds):
            _setting(bench, task, user, seed, found)


def _setting(bench: Bench, task: str, user: str, seed: int, agent: Agent) -> None:
    """One log of one user: learn from it and play the online rounds."""
    stem, end = f"{task}-{user}-{seed}", bench.meter.done + _steps(bench.study, seed)
    places = {name: bench.folder / name / f"{stem}.parquet" for name in ("episodes", "samples")}
    if not all(place.exists() for place in places.values()):
        log = _log(bench, task, user, seed, agent)
        policies = {"reference": agent.reference} | dict(_trained(bench, task, user, seed, agent, log))
        _play(bench, task, user, seed, agent, policies, places)
    bench.meter.reach(end)


def _log(bench: Bench, task: str, user: str, seed: int, agent: Agent) -> pd.DataFrame:
    path = bench.folder / "logs" / f"{task}-{user}-{seed}.parquet"
    if not path.exists() and bench.log is not None:
        log_files.write(path, bench.log[bench.log["task"] == task], empty_responses=True)
    if not path.exists():
        given = protocol.drafts(bench.study, task, agent, seed)
        log_files.write(path, protocol.logged(task, user, bench.user(user), given, seed), empty_responses=True)
    elif bench.log is None and not any((bench.folder / "models" / task / f"{user}-{seed}").glob("*.safetensors")):
        _ask_again(bench, task, user, seed, path)
    if bench.log is None:
        protocol.check_answered(user, log_files.read(path, empty_responses=True)["status"])
    rows, least = folder.answered(path), bench.study.settings.held_out + 1
    if len(rows) < least:
        raise BadInput(f"user {user}: expected at least {least} answers to learn from, got {len(rows)}; see {path}")
    return rows


def _ask_again(bench: Bench, task: str, user: str, seed: int, path: Path) -> None:
    """Ask for the edits of a stored log that were not answered; once a policy has learned from it, it stays."""
    rows = log_files.read(path, empty_responses=True)
    if (rows["status"] != "ok").any():
        documents = protocol.logged_documents(bench.study, task, seed)
        log_files.write(path, protocol.asked_again(rows, documents, bench.user(user), seed), empty_responses=True)


def _trained(
    bench: Bench, task: str, user: str, seed: int, agent: Agent, log: pd.DataFrame
) -> Iterator[tuple[str, Transformer]]:
    """Every learner's policy, from its checkpoint where there is one."""
    settings, models = bench.study.settings, bench.folder / "models" / task
    known: learners.Examples | None = None
    for name, learner in learners.learners(settings).items():
        path = models / f"{user}-{seed}" / f"{name}.safetensors"
        if not path.exists():
            if known is None:
                known = learners.examples(log, agent.vocabulary, agent.reference, jnp.dtype(settings.dtype))
            _train(bench, (task, user, seed, name), learner, known, log, agent, path)
        yield name, checkpoints.read(path, agent.reference)[0]


def _train(
    bench: Bench,
    which: tuple[str, str, int, str],
    learner: Learner,
    known: learners.Examples,
    log: pd.DataFrame,
    agent: Agent,
    path: Path,
) -> None:
    """Train one learner: at every learning rate on the first log, at the chosen one on the others.

    Its notes have the share of the log's edits that are longer than a response may be, and were cut; those of cost
    tell how good its model of the cost is (`cost_models.accuracy`).
    """
    task, user, seed, name = which
    settings, started = bench.study.settings, monotonic()
    data = learners.prepared(learner, known, agent.vocabulary, agent.reference, settings, number("cost", *which))
    rates = [_chosen_rate(bench, task, user, name)] if seed else settings.learning_rates
    score = partial(
        learners.distance, held_out=log[-settings.held_out :], vocabulary=agent.vocabulary, settings=settings
    )
    order = number("order", *which)
    fits = list(learners.fit(learner, data, agent.reference, settings, rates, order, score, bench.meter.add))
    won = learners.best(fits)
    about = {"task": task, "training_user": user, "method": name, "seed": seed, "steps": settings.steps}
    about |= {"cut": agent.vocabulary.cut(log["edit"].tolist(), settings.response) / len(log)} | dict(data.notes)
    tried = [
        about | {"learning_rate": one.learning_rate, "held_out": one.held_out,
                 "held_out_loss": one.held_out_loss, "strength": one.strength, "status": one.status, "chosen": i == won}
        for i, one in enumerate(fits)
    ]  # fmt: skip
    checkpoints.write(path, fits[won].policy, {"tried": tried, "seconds": monotonic() - started})


def _chosen_rate(bench: Bench, task: str, user: str, name: str) -> float:
    """The learning rate that was chosen on the first log."""
    notes = checkpoints.notes_of(bench.folder / "models" / task / f"{user}-0" / f"{name}.safetensors")
    return next(one["learning_rate"] for one in notes["tried"] if one["chosen"])


def _play(
    bench: Bench,
    task: str,
    user: str,
    seed: int,
    agent: Agent,
    policies: dict[str, Transformer],
    places: dict[str, Path],
) -> None:
    """The online rounds of every policy and, over them, of every rule."""
    documents = protocol.online_documents(bench.study, task, seed)
    stem = f"{task}-{user}-{seed}"
    found = {
        name: _rounds(bench, f"{stem}-{name}", partial(
            protocol.played, bench.study, task, policy, agent, documents, bench.test_users, seed))
        for name, policy in policies.items()
    }  # fmt: skip
    rules = protocol.rules(bench.study, [name for name in policies if name != "reference"])
    rows, shown = [], []
    for test_user in bench.test_users:
        rounds = {policy: found[policy][test_user] for policy in policies}
        labels = {"task": task, "training_user": user, "test_user": test_user}
        rows.append(protocol.episodes(rounds, rules, seed).assign(**labels, seed=seed))
        shown.append(protocol.samples(documents, rounds, SHOWN).assign(**labels, seed=seed))
    for name, frames in (("samples", shown), ("episodes", rows)):
        folder.write(places[name], pd.concat(frames, ignore_index=True))


def _rounds(bench: Bench, stem: str, play: Callable[[], protocol.Rounds]) -> protocol.Rounds:
    """A policy's rounds, stored as soon as they are played: a user who has answered is not asked again."""
    path = bench.folder / "rounds" / f"{stem}.parquet"
    if not path.exists():
        folder.write(path, protocol.as_table(play()))
    rows, expected = folder.read(path), bench.study.settings.rounds * len(bench.test_users)
    if list(rows) != protocol.COLUMNS or len(rows) != expected:
        raise BadInput(
            f"{path}: expected {expected} rounds of this run, got {len(rows)} rows of {', '.join(map(str, rows))};"
            " delete it, and --resume plays them again"
        )
    return protocol.from_table(rows)


def of_log(study: Study, log: pd.DataFrame | None) -> tuple[Study, pd.DataFrame | None]:
    """The study that learns from a log of a user's own, called "log" in tables: of those of its tasks that the log has.

    Raises:
        BadInput: a log that is too short, of several users, or of tasks that are not all the text world's or not asked
            for.
    """
    if log is None:
        return study, None
    _check_tasks(study, log)
    _check_user(log)
    tasks = tuple(task for task in study.tasks if (log["task"] == task).any())
    for task in tasks:
        rows, least = int((log["task"] == task).sum()), study.settings.held_out + 1
        if rows < least:
            raise BadInput(
                f"--log: expected at least {least} examples of task '{task}' ({study.settings.held_out} of them are"
                f" held out), got {rows}; bring more, or choose --task, or --set held_out=N"
            )
    # A column `status` of somebody else's means something else.
    return replace(study, tasks=tasks, users=("log",)), log.drop(columns="status", errors="ignore").assign(user="log")


def _check_tasks(study: Study, log: pd.DataFrame) -> None:
    unknown = log["task"][~log["task"].isin(TASKS)]
    if len(unknown):
        raise BadInput(
            f"--log: expected rows of the tasks {', '.join(TASKS)} only, got {len(unknown)} rows of"
            f" {', '.join(sorted(set(unknown)))} beside them; split the file by task"
        )
    if not log["task"].isin(study.tasks).any():
        raise BadInput(
            f"--log: expected rows of the task {', '.join(study.tasks)}, got {', '.join(sorted(set(log['task'])))};"
            " choose another --task"
        )


def _check_user(log: pd.DataFrame) -> None:
    names = sorted({user for _, user in by_setting(log)})
    if len(names) > 1:
        raise BadInput(
            f"--log: expected the edits of one user, got those of {', '.join(names)}; split the file by user"
        )

"""How large a study of the language model is: presets, and single settings over them."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sim.errors import BadInput, choose
from sim.llm.domains import TASKS
from sim.overrides import parse

Words = tuple[str, ...]
Rate = Annotated[float, Field(gt=0, le=1)]
# More would not fit into any memory.
Count = Annotated[int, Field(ge=1, le=10_000_000)]


class Preset(BaseModel):
    """The settings of a study; all but the names can be set one by one.

    Fields:
        domains: that take part, in the order of the tasks; 0 for all.
        facts: of a document.
        vocabulary: tokens.
        document, response: their lengths in tokens.
        width, layers, heads, hidden: of the transformer (`sim.llm.transformer.Shape`).
        pretraining_documents: different documents that the reference policy is trained on.
        pretraining_steps, pretraining_rate: of its training.
        logged: examples of a log, per task.
        held_out: further examples of which hyperparameters are chosen.
        steps: of training a learner.
        learning_rates: the candidates of every learner.
        batch: examples of a step.
        rounds: T of the online phase.
        seeds: logs per task and user.
        greedy: whether the agent takes the likeliest word in the online phase, as in the paper.
        alpha: of Algorithm 1, as a share of the largest cost.
        link_scale: beta of Eq. 4 as the paper prints it.
        lam: the weight of supervision in Eq. 7.
        temperature: beta of Eq. 6.
        cost_draws: of the reference policy for a document, from which Eq. 6 is distilled.
        cost_documents: of the log that are used for that.
        cost_models: in the ensemble whose largest value is the pessimistic cost.
        dtype: of the products, "float32" or "bfloat16".
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    domains: int = Field(default=2, ge=0, le=5)
    facts: int = Field(default=3, ge=3, le=6)
    vocabulary: int = Field(default=1024, ge=300, le=65536)
    document: int = Field(default=48, ge=8, le=2048)
    response: int = Field(default=64, ge=8, le=2048)
    width: int = Field(default=96, ge=8, le=8192)
    layers: int = Field(default=2, ge=1, le=128)
    heads: int = Field(default=2, ge=1, le=128)
    hidden: int = Field(default=256, ge=8, le=65536)
    pretraining_documents: Count = 20_000
    pretraining_steps: int = Field(default=1200, ge=1)
    pretraining_rate: float = Field(default=3e-3, gt=0, le=1)
    logged: dict[str, Count] = {"summarization": 2000, "email": 1000}
    held_out: Count = 200
    steps: int = Field(default=50, ge=1)
    learning_rates: list[Rate] = Field(default=[3e-4, 1e-3], min_length=1)
    batch: int = Field(default=32, ge=1, le=65536)
    rounds: int = Field(default=200, ge=1, le=1_000_000)
    seeds: int = Field(default=3, ge=1, le=1000)
    greedy: bool = True
    alpha: float = Field(default=0.1, ge=0, le=100)
    link_scale: float = Field(default=0.1, gt=0, le=100)
    lam: float = Field(default=0.02, ge=0, le=1e6)
    temperature: float = Field(default=0.1, gt=0, le=100)
    cost_draws: int = Field(default=4, ge=2, le=64)
    cost_documents: int = Field(default=500, ge=1)
    cost_models: int = Field(default=8, ge=1, le=64)
    dtype: str = Field(default="float32", pattern="^(float32|bfloat16)$")


PRESETS: dict[str, Preset] = {
    "micro": Preset(
        vocabulary=600, document=56, response=64, width=32, layers=2, heads=2, hidden=64,
        pretraining_documents=2000, pretraining_steps=200, logged={"summarization": 96, "email": 64}, held_out=32,
        steps=30, learning_rates=[1e-3], batch=16, rounds=30, seeds=2, cost_documents=25,
    ),
    "tiny": Preset(),
    "small": Preset(
        domains=0, facts=5, vocabulary=4096, document=72, response=96, width=512, layers=8, heads=8, hidden=1408,
        pretraining_documents=200_000, pretraining_steps=6000, pretraining_rate=1e-3,
        logged={"summarization": 20_000, "email": 10_000}, steps=400, learning_rates=[1e-4, 3e-4], batch=128,
        cost_documents=4000, cost_draws=8, dtype="bfloat16",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Study:
    """What `medley llm` runs.

    Fields:
        preset: its name.
        settings: with whatever was set one by one.
        tasks: of `sim.llm.domains.TASKS`.
        users: whose edits are logged, of `sim.llm.users.USERS`.
    """

    preset: str
    settings: Preset
    tasks: Words
    users: Words = ("strong", "weak")

    def domains(self, task: str) -> Words:
        """The domains of a task that take part."""
        return TASKS[task][: self.settings.domains or None]

    def as_table(self) -> dict[str, Any]:
        """As it is stored, for TOML."""
        return {
            "preset": self.preset, "tasks": list(self.tasks), "users": list(self.users),
            "settings": self.settings.model_dump(),
        }  # fmt: skip


def study(
    preset: str | None = None,
    tasks: list[str] | None = None,
    seeds: int | None = None,
    overrides: list[str] | None = None,
    stored: dict[str, Any] | None = None,
) -> Study:
    """A study: a preset, the tasks, and single settings over the preset's.

    Args:
        preset: of `PRESETS`; default: what is stored, else tiny.
        tasks: default: what is stored, else both.
        seeds: the same as the override "seeds=N".
        overrides: "key=value", the value in TOML.
        stored: from `Study.as_table`; its settings are kept where nothing else is said.

    Raises:
        BadInput: unknown names, values of the wrong type or range, a stored table of another kind.
    """
    kept = stored if stored is not None and preset in (None, stored.get("preset")) else None
    name = str(kept["preset"]) if kept else preset or "tiny"
    choose("preset", name, PRESETS)
    chosen = tuple(dict.fromkeys(tasks or (kept or {}).get("tasks", TASKS)))
    for task in chosen:
        choose("task", task, TASKS)
    base = PRESETS[name].model_dump() | (kept or {}).get("settings", {})
    given = dict(parse(text) for text in [*(overrides or []), *([f"seeds={seeds}"] if seeds is not None else [])])
    return Study(name, _checked(base | given), chosen)


def _checked(values: dict[str, Any]) -> Preset:
    for key in values:
        choose("setting of medley llm", key, Preset.model_fields)
    numbers = {name: float(v) if type(v) is int and name in _FRACTIONS else v for name, v in values.items()}
    try:
        found = Preset.model_validate(numbers)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"{where}: {first['msg']}, got {first['input']!r}") from None
    missing = sorted(set(TASKS) - set(found.logged))
    if missing or set(found.logged) - set(TASKS):
        raise BadInput(
            f"logged: expected a positive number of examples for each of {', '.join(TASKS)}, got {found.logged}"
        )
    if found.width % (2 * found.heads):
        raise BadInput(f"width: expected a multiple of {2 * found.heads} (twice the heads), got {found.width}")
    return found


_FRACTIONS = {name for name, field in Preset.model_fields.items() if field.annotation is float}

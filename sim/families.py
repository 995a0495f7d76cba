"""Named constructors of worlds.

A family is a function of keyword parameters (the keys of `[world]`, checked from its annotations) and a `User`
that returns a `World`.  Every world is planted (docs/theory.md 2.1): the optimum, the kernel and the distance are
chosen, the reference policy follows.
"""

import inspect
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError
from scipy.special import expit

from sim import cubes, kernels, product_worlds, self_consistent, worldfile
from sim.errors import BadInput, choose
from sim.settings import Setting
from sim.users import EDITORS, Edits, User, build_kernel, edit_rate
from sim.world import World, plant

Count = Annotated[int, Field(ge=1, le=4096)]
Attributes = Annotated[int, Field(ge=0, le=20)]
DENSE_ATTRIBUTES = 10
"""Attributes up to which kernels are tables of all pairs of responses; above, products (`sim/product_worlds.py`)."""
Probability = Annotated[float, Field(ge=0, le=1)]
# Beyond these sizes the exponentials and their ratios leave the range of 64-bit floats.
Positive = Annotated[float, Field(gt=0, le=1e100)]
NonNegative = Annotated[float, Field(ge=0, le=1e100)]
Seed = Annotated[int, Field(ge=0)]
Calibration = Literal["fixed-cost", "fixed-distance"]


def attributes(
    *,
    attributes: Attributes = 4,
    contexts: Count = 3,
    strength: Probability = 0.5,
    cost_scale: Positive = 1.0,
    temperature: Positive = 0.5,
    preference_scale: NonNegative = 1.5,
    world_seed: Seed = 0,
    calibration: Calibration = "fixed-cost",
    policy_interaction: NonNegative = 0.0,
    cost_interaction: NonNegative = 0.0,
    user: User,
) -> World:
    """Responses with K independent binary attributes; the default world (docs/theory.md 2.2).

    pi*(y|x) = prod_k Bernoulli(sigma(theta_xk)), theta = preference_scale * standard normals of `world_seed`.
    Policy features: y - 1/2 per context and attribute (d = X K).  Cost features: these and an intercept.
    `policy_interaction` adds that multiple of an interaction of neighbouring attributes to log pi*, which the
    policy features miss (and the cost features too, unless the editor is lazy); `cost_interaction` adds that
    multiple of 1[two or more attributes changed] to the distance, which the cost features miss.  More than 10
    attributes need an optimum and a kernel of products: no interactions, editor redraw, lazy or subset, not `cyclic`.
    """
    normal = np.random.default_rng(world_seed).normal(size=(contexts, attributes))
    setting = Setting(strength, cost_scale, temperature, calibration, cost_interaction)
    return _attribute_world(preference_scale * normal, setting, user, policy_interaction)


def tabular(
    *,
    responses: Count = 8,
    contexts: Count = 3,
    strength: Probability = 0.5,
    cost_scale: Positive = 1.0,
    temperature: Positive = 0.5,
    preference_scale: NonNegative = 1.0,
    world_seed: Seed = 0,
    calibration: Calibration = "fixed-cost",
    policy_dimension: Annotated[int, Field(ge=0)] = 0,
    user: User,
) -> World:
    """Unstructured responses at random points of the plane; the distance is the Euclidean one, a metric.

    log pi* is preference_scale times standard normals.  `policy_dimension` 0 gives the tabular class (one
    parameter per context and response but the first); d > 0 gives d random features, log pi* being linear in them.
    """
    rng = np.random.default_rng(world_seed)
    if policy_dimension:
        phi = rng.normal(size=(contexts, responses, policy_dimension))
        logits = preference_scale * phi @ rng.normal(size=policy_dimension) / np.sqrt(policy_dimension)
    else:
        phi = _tabular_features(contexts, responses)
        logits = preference_scale * rng.normal(size=(contexts, responses))
    setting = Setting(strength, cost_scale, temperature, calibration)
    return _plain_world(_softmax(logits), _plane_distances(rng, responses), phi, None, setting, user)


def lowrank_cost(
    *,
    responses: Count = 32,
    contexts: Count = 3,
    strength: Probability = 0.1,
    cost_scale: Positive = 3.5,
    temperature: Positive = 0.3,
    preference_scale: NonNegative = 1.0,
    world_seed: Seed = 0,
    calibration: Calibration = "fixed-cost",
    cost_dimension: Count = 1,
    user: User,
) -> World:
    """A rich policy class and a simple cost: the regime where learning the cost wins.

    As `tabular`, but the cost is linear in `cost_dimension` features: the first is its shape (the cost is known up
    to a scale), the others are random and carry no weight.
    """
    rng = np.random.default_rng(world_seed)
    logits = preference_scale * rng.normal(size=(contexts, responses))
    distance = _plane_distances(rng, responses)
    extra = rng.normal(size=(contexts, responses, cost_dimension - 1))
    setting = Setting(strength, cost_scale, temperature, calibration)

    def features(cost: np.ndarray) -> np.ndarray:
        scale = np.abs(cost).max() or 1.0
        return np.concatenate([cost[:, :, None] / scale, extra], axis=2)

    return _plain_world(_softmax(logits), distance, _tabular_features(contexts, responses), features, setting, user)


def self_consistent_family(
    *,
    attributes: Annotated[int, Field(ge=1, le=20)] = 4,
    contexts: Count = 3,
    strength: Probability = 0.5,
    cost_scale: Positive = 1.0,
    temperature: Positive = 0.25,
    reference_scale: NonNegative = 0.5,
    world_seed: Seed = 0,
    root: Literal["lower", "middle", "upper"] = "lower",
    user: User,
) -> World:
    """An attribute world given by its reference policy: pi* solves pi* = pi_ref exp(-c[pi*] / beta).

    theta_ref = reference_scale * standard normals; one equation per attribute (docs/theory.md 2.3), with three
    roots for strong costs: `root` picks among them wherever there are three.  Fixed-cost calibration.
    """
    size = {"contexts": contexts, "attributes": attributes, "world_seed": world_seed}
    scales = {"reference_scale": reference_scale, "cost_scale": cost_scale, "temperature": temperature}
    roots = _reference_roots(size | scales)
    column = {"lower": 0, "middle": 1, "upper": 2}[root]
    single = np.isnan(roots[..., 1])
    theta_ref = _reference_logits(size | scales)
    # Nobody edits at strength 0: the cost is zero and the optimum is the reference.
    theta = np.where(single, roots[..., 0], roots[..., column]) if strength > 0 else theta_ref
    setting = Setting(strength, cost_scale, temperature, "fixed-cost")
    built = _attribute_world(theta, setting, user)
    if np.abs(np.asarray(built.reference) - _attribute_optimum(theta_ref, 0.0)).max() > 1e-9:
        raise BadInput(
            "self-consistent: expected a user whose expected cost is that of re-drawing, got one for whom the equation"
            " does not hold; use editor redraw, lazy or subset, without dials"
        )
    return built


def _attribute_world(logits: np.ndarray, setting: Setting, user: User, interaction: float = 0.0) -> World:
    user = _with_default(user, "redraw")
    if logits.shape[1] <= DENSE_ATTRIBUTES:
        return _dense_attribute_world(_attribute_optimum(logits, interaction), setting, user)
    if interaction > 0:
        raise BadInput(
            f"policy_interaction: expected 0 with more than {DENSE_ATTRIBUTES} attributes, got {interaction:g}; use at"
            f" most {DENSE_ATTRIBUTES} attributes"
        )
    return product_worlds.attribute_world(logits, setting, user)


def _dense_attribute_world(optimal: np.ndarray, setting: Setting, user: User) -> World:
    contexts, responses = optimal.shape
    number = responses.bit_length() - 1
    table = kernels.attribute_table(number)
    hamming = np.abs(table[:, None] - table[None]).sum(axis=2).astype(float)
    distance = hamming + setting.cost_interaction * (hamming >= 2)
    phi = _per_context(table - 0.5, contexts)
    intercept = np.ones((contexts, responses, 1))
    psi = np.concatenate([phi, intercept], axis=2)
    edits = Edits(setting.strength, kernels.flip_proposal(number), number, user.subset_size)
    kernel = build_kernel(user, optimal, edits)
    scaled = setting.scaled(distance, edit_rate(user, edits.strength, edits.attributes))
    if number == 0:
        phi = intercept
    return plant(_uniform(contexts), optimal, kernel, scaled, setting.temperature, phi, psi, user.tempered)


def _plain_world(
    optimal: np.ndarray,
    distance: np.ndarray,
    phi: np.ndarray,
    cost_features: Callable[[np.ndarray], np.ndarray] | None,
    setting: Setting,
    user: User,
) -> World:
    contexts, responses = optimal.shape
    user = _with_default(user, "lazy")
    edits = Edits(setting.strength, kernels.uniform_proposal(responses), None, user.subset_size)
    kernel = build_kernel(user, optimal, edits)
    scaled = setting.scaled(distance, edit_rate(user, edits.strength, edits.attributes))
    psi = cost_features(np.einsum("xye,ye->xy", kernel, scaled)) if cost_features else None
    return plant(_uniform(contexts), optimal, kernel, scaled, setting.temperature, phi, psi, user.tempered)


def _with_default(user: User, editor: str) -> User:
    return user.model_copy(update={"editor": editor}) if user.editor == "default" else user


def _attribute_optimum(logits: np.ndarray, interaction: float) -> np.ndarray:
    # The logistic function of both signs, so that a probability near one keeps its small complement.
    if logits.shape[1] > DENSE_ATTRIBUTES:
        return cubes.outer_product(expit(np.stack([-logits, logits], axis=2)))
    table = kernels.attribute_table(logits.shape[1])
    if interaction == 0:
        return np.prod(expit((2 * table - 1) * logits[:, None]), axis=2)
    signs = 2.0 * table - 1
    neighbours = (signs[:, :-1] * signs[:, 1:]).sum(axis=1)
    return _softmax(logits @ table.T + interaction * neighbours)


def _per_context(features: np.ndarray, contexts: int) -> np.ndarray:
    """The same features (A, k) with parameters of their own in each context, (X, A, X k)."""
    responses, width = features.shape
    table = np.einsum("xz,ak->xazk", np.eye(contexts), features)
    return table.reshape(contexts, responses, contexts * width)


def _tabular_features(contexts: int, responses: int) -> np.ndarray:
    """Indicators of every response but the first, per context: identified, with the first as the base."""
    if responses == 1:
        return np.ones((contexts, 1, 1))
    return _per_context(np.eye(responses)[:, 1:], contexts)


def _plane_distances(rng: np.random.Generator, responses: int) -> np.ndarray:
    points = rng.uniform(size=(responses, 2))
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    return distance / (distance.max() or 1.0)


def _softmax(logits: np.ndarray) -> np.ndarray:
    law = np.exp(logits - logits.max(axis=1, keepdims=True))
    return law / law.sum(axis=1, keepdims=True)


def _uniform(size: int) -> np.ndarray:
    return np.full(size, 1 / size)


Family = Callable[..., World]

FAMILIES: dict[str, Family] = {
    "attributes": attributes,
    "tabular": tabular,
    "lowrank-cost": lowrank_cost,
    "self-consistent": self_consistent_family,
}


def register_family(name: str, build: Family) -> None:
    """Make a world family available as `family = "name"`.

    Args:
        name: as written in `[world]`.
        build: a function of keyword parameters with defaults, and `user`, that returns a `World`; values are checked
            against its annotations.
    """
    FAMILIES[name] = build


def parameters(family: str) -> dict[str, inspect.Parameter]:
    """The keyword parameters of a family, without `user`."""
    choose("world family", family, FAMILIES)
    found = inspect.signature(FAMILIES[family]).parameters
    return {name: parameter for name, parameter in found.items() if name != "user"}


def is_world_file(family: str) -> bool:
    """Whether the name is the path of a world file rather than a family."""
    return family.endswith(".npz")


def resolve(family: str, given: dict[str, Any]) -> dict[str, Any]:
    """All parameters of a family, checked: the given ones over the defaults.

    Raises:
        BadInput: unknown family or parameter (the nearest name is suggested), value of the wrong type or range.
    """
    if is_world_file(family):
        if given:
            raise BadInput(f"a world file has no parameters: remove '{next(iter(given))}'")
        return {}
    known = parameters(family)
    for name in given:
        choose(f"parameter of world family '{family}'", name, known)
    return {name: _checked(name, p, given.get(name, p.default)) for name, p in known.items()}


def _checked(name: str, parameter: inspect.Parameter, value: Any) -> Any:
    if parameter.annotation is inspect.Parameter.empty:
        return value
    try:
        return TypeAdapter(parameter.annotation).validate_python(value, strict=True)
    except ValidationError as error:
        raise BadInput(f"{name}: {error.errors()[0]['msg']}, got {value!r}") from None


def world(family: str, *, user: User | dict[str, Any] | None = None, **given: Any) -> World:
    """Build a world: `world("attributes", strength=0.1)`, `world("tabular", user={"editor": "barker"})`, a file.

    Args:
        family: a registered family, or the path of a `.npz` world file.
        user: the `[user]` table; the default user breaks nothing.
        given: parameters of the family, as its function declares them with their ranges.

    Returns:
        The world, with pi*, pi_ref, q and c of docs/theory.md 2.

    Raises:
        BadInput: anything unknown (the nearest name is suggested), out of range, or a file that cannot be used.
    """
    user = make_user(user)
    if is_world_file(family):
        resolve(family, given)
        if user != make_user(None):
            raise BadInput("a world file holds its own edit kernel: remove the [user] settings")
        return worldfile.read(Path(family))
    values = resolve(family, given)
    try:
        with np.errstate(all="ignore"):
            # What overflows is refused below and by the checks of the arrays, in words.
            built = FAMILIES[family](**values, user=user)
    except MemoryError as error:
        raise BadInput(f"world '{family}' does not fit in memory ({error}); lower its sizes") from None
    if not isinstance(built, World):
        raise BadInput(f"world family '{family}': expected a World from it, got {type(built).__name__}")
    return built


def extras(family: str, given: dict[str, Any]) -> dict[str, Any]:
    """What a family knows beside its world: the roots of the self-consistent equation, per context and attribute; what
    was drawn for a random world.
    """
    if family not in ("self-consistent", "random"):
        return {}
    values = resolve(family, given)
    if family == "random":
        from sim.random_worlds import drawn

        name, parameters, user = drawn(**values)
        return {"drawn": {"family": name, **parameters, **user}}
    found = _reference_roots(values)
    return {"roots": [[[r for r in roots if not np.isnan(r)] for roots in context] for context in found.tolist()]}


def _reference_roots(values: dict[str, Any]) -> np.ndarray:
    return self_consistent.roots(_reference_logits(values), values["cost_scale"] / values["temperature"])


def _reference_logits(values: dict[str, Any]) -> np.ndarray:
    normal = np.random.default_rng(values["world_seed"]).normal(size=(values["contexts"], values["attributes"]))
    return values["reference_scale"] * normal


def make_user(user: User | dict[str, Any] | None) -> User:
    """A `User` from a table, with unknown keys refused."""
    if isinstance(user, User):
        return user
    for name in user or {}:
        choose("key of [user]", name, User.model_fields)
    for key in ("editor", "second_editor"):
        if user and key in user and user[key] != "default":
            choose("editor", user[key], EDITORS)
    try:
        return User.model_validate(user or {})
    except ValidationError as error:
        first = error.errors()[0]
        raise BadInput(f"user.{first['loc'][0]}: {first['msg']}, got {first['input']!r}") from None


def grid(table: dict[str, Any]) -> list[dict[str, Any]]:
    """The cells of a table in which every list is an axis: the axes multiply, the last varies fastest."""
    axes = [value if isinstance(value, list) else [value] for value in table.values()]
    return [dict(zip(table, values, strict=True)) for values in itertools.product(*axes)]

"""The numbers that the families of worlds are built from, and how far a world is from what they promise."""

import numpy as np
import reference as ref


def default_log_odds(scale=1.5, seed=0, contexts=3, attributes=4):
    """theta of the head of the theory page."""
    return scale * np.random.default_rng(seed).normal(size=(contexts, attributes))


def hamming(attributes):
    tuples = ref.responses_of(attributes)
    return np.array([[sum(a != b for a, b in zip(y, e, strict=True)) for e in tuples] for y in tuples], dtype=float)


def residual(features, values, intercepts):
    """The largest misfit of values (X, A) by least squares in features (X, A, d), perhaps plus one per context."""
    values = np.asarray(values)
    contexts, responses = values.shape
    columns = np.asarray(features).reshape(contexts * responses, -1)
    if intercepts:
        columns = np.hstack([columns, np.repeat(np.eye(contexts), responses, axis=0)])
    solution = np.linalg.lstsq(columns, values.ravel(), rcond=None)[0]
    return float(np.abs(columns @ solution - values.ravel()).max())


def policy_misfit(world, policy):
    return residual(world.policy_features.table, np.log(policy), intercepts=True)


def cost_misfit(world):
    return residual(world.cost_features.table, world.expected_cost, intercepts=False)


def balance_violation(world, optimal=None):
    return ref.balance_violation(
        np.asarray(world.editor.kernel), np.asarray(world.optimal if optimal is None else optimal)
    )

"""Learning without a log: self-training, online preferences, the perceptron."""

import numpy as np
import pytest

import sim
from bounds.regret import self_training_exponent
from sim.online import online_preference, preference_perceptron, self_train
from sim.online.perceptron import informativeness, slacks
from sim.online.self_training import epoch_lengths
from sim.policies import centred_regression


@pytest.fixture(scope="module")
def world() -> sim.World:
    return sim.world("attributes", attributes=3, contexts=2, strength=0.5)


def parameters(world: sim.World) -> np.ndarray:
    return np.linalg.lstsq(*centred_regression(world, np.asarray(world.optimal)), rcond=None)[0]


def test_epochs_fill_the_rounds() -> None:
    assert epoch_lengths(100, 2.0, 10).tolist() == [10, 20, 40, 30]
    assert epoch_lengths(5, 3.0, 10).tolist() == [5] and epoch_lengths(25, 1.0, 10).tolist() == [10, 10, 5]
    for arguments in [(0, 2.0), (10, 0.5), (10, 2.0, 0)]:
        with pytest.raises(sim.BadInput, match="expected"):
            epoch_lengths(*arguments)


@pytest.mark.parametrize("root_seed", [0, 1])
def test_an_epoch_of_self_training_is_predicted(root_seed: int, world: sim.World) -> None:
    found = self_train(world, 3 * 2000, 1.0, 400, first=2000, root_seed=root_seed)
    assert found.suboptimality[:, 0] == pytest.approx(float(world.suboptimality(world.reference)))
    # Edits of pi_ref, fitted on 2,000 of them: S(q∘pi_ref) + beta d / (2 n).
    statistical = float(world.temperature) * 6 / (2 * 2000)
    expected = float(world.suboptimality(world.edited(world.reference))) + statistical
    second = found.suboptimality[:, 1]
    assert abs(second.mean() - expected) < 4.5 * second.std() / np.sqrt(400) + 0.02 * statistical
    assert found.suboptimality[:, 2].mean() < 0.6 * second.mean()


@pytest.mark.parametrize(("growth", "exponent"), [(2.0, 0.0), (16.0, 0.5), (64.0, 2 / 3)])
def test_the_exponent_of_self_training(growth: float, exponent: float, world: sim.World) -> None:
    found = self_train(world, 10**7, growth, 20, first=30)
    late = found.rounds >= 300
    slope = np.polyfit(np.log(found.rounds[late]), np.log(found.regret.mean(axis=0)[late]), 1)[0]
    assert self_training_exponent(world, growth) == pytest.approx(exponent, abs=0.03)
    assert slope == pytest.approx(exponent, abs=0.25 if exponent == 0 else 0.1)


def test_preferences_need_each_records_own_reference(world: sim.World) -> None:
    own, kept = (online_preference(world, 100_000, 10, reference) for reference in ("own", "kept"))
    assert own.regret[:, -1].mean() < 0.5 * kept.regret[:, -1].mean()

    def exponent(found: sim.online.Epochs) -> float:
        late = found.rounds >= 10_000
        return float(np.polyfit(np.log(found.rounds[late]), np.log(found.regret.mean(axis=0)[late]), 1)[0])

    # With its own references regret is logarithmic; with pi_ref kept it is linear.
    assert exponent(own) < 0.25 and exponent(kept) > 0.8
    with pytest.raises(sim.BadInput, match="own"):
        online_preference(world, 100, 1, "owned")


def test_informativeness_is_its_definition(world: sim.World) -> None:
    utility = np.asarray(world.policy_features.table) @ parameters(world)
    kernel = world.editor.dense()
    shares = []
    for x, y in np.ndindex(*utility.shape):
        missing = utility[x].max() - utility[x, y]
        gain = sum(kernel[x, y, e] * (utility[x, e] - utility[x, y]) for e in range(utility.shape[1]))
        assert slacks(world, utility, 0.3)[x, y] == pytest.approx(max(0.3 * missing - gain, 0.0))
        shares += [gain / missing] if missing > 0 else []
    assert informativeness(world, utility) == pytest.approx(min(shares))
    assert informativeness(world, np.ones_like(utility)) == 1.0


@pytest.mark.parametrize("root_seed", [0, 1])
def test_the_perceptron_stays_below_its_bound(root_seed: int, world: sim.World) -> None:
    for alpha in (0.1, 0.5):
        found = preference_perceptron(world, parameters(world), [10, 100, 1000, 5000], 50, alpha, root_seed)
        assert np.all(found.regret.mean(axis=0) <= found.bound)
        assert np.all(np.diff(found.regret.mean(axis=0)) < 0)


def test_the_perceptron_is_a_plain_loop(world: sim.World) -> None:
    import jax

    phi, kernel = np.asarray(world.policy_features.table), world.editor.dense()
    utility = phi @ parameters(world)
    found = preference_perceptron(world, parameters(world), [40], 1, 0.3, root_seed=5)
    key = jax.random.split(jax.random.key(5), 1)[0]
    weights, regret = np.zeros(phi.shape[2]), 0.0
    for t in range(40):
        first, second = np.asarray(jax.random.uniform(jax.random.fold_in(key, t), (2,), float))
        x = int(np.searchsorted(np.cumsum(world.context_probs), first, side="right"))
        y = int(np.argmax(phi[x] @ weights))
        e = int(np.searchsorted(np.cumsum(kernel[x, y]), second, side="right"))
        weights = weights + phi[x, e] - phi[x, y]
        regret += utility[x].max() - utility[x, y]
    assert found.regret[0, 0] == pytest.approx(regret / 40)

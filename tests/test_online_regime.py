"""Regimes with an online phase: the rows against direct calls, tables of settings, resuming, bad input."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import sim
from sim import regimes, store
from sim.online import UCB, arms, edited_by, play, train
from sim.online.gaps import costs, kinds_of, max_gaps, ranks, text_tables
from sim.online.settings import axes_of
from sim.summary import resampling
from sim.sweep import ONLINE_LANES

REGIME = """
title = "t"
claim = "c"
n = [60]
seeds = 5
learners = ["reference", "sup", "pref", "cost"]
[[world]]
family = "attributes"
attributes = 2
contexts = 2
strength = [0.9, 0.2]
[[world]]
family = "tabular"
responses = 3
contexts = 1
[world.user]
harmful = 0.1
[test_user]
strength = 1.0
other_optimum = [0.0, 0.4]
[online]
rounds = 30
recorded = 9
rules = ["ucb", "uniform"]
alpha = [0.2, "theory"]
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("regime") / "small.toml"
    path.write_text(REGIME)
    return str(path)


@pytest.fixture(scope="module")
def online(file: str) -> pd.DataFrame:
    return sim.run_online(file)


def test_every_row_is_there_once(online: pd.DataFrame) -> None:
    assert list(online["round"].unique()) == [1, 2, 4, 5, 8, 13, 20, 30]
    keys = ["setting", "test_user", "method", "seed", "round"]
    assert not online.duplicated(keys).any()
    # 3 settings x 2 test users x (4 policies + 3 rules) x 5 seeds x 8 rounds.
    assert len(online) == 3 * 2 * 7 * 5 * 8
    assert axes_of(online) == (["family", "strength"], ["test_other_optimum"])
    assert {"setting", "method", "seed", "round", "arm", "cost", "regret"} <= set(online.columns)
    assert set(online["test_user"]) == {"strength = 1, other_optimum = 0", "strength = 1, other_optimum = 0.4"}
    kinds = kinds_of(online)
    assert kinds.alone == ["cost (plug-in)", "pref", "reference", "sup"]
    assert kinds.listed == ["cost (plug-in)", "pref", "sup"]
    assert kinds.rules == ["late (alpha 0.2)", "late (alpha theory)", "uniform"]


def at(online: pd.DataFrame, method: str, values: str, **point: object) -> np.ndarray:
    for name, value in point.items():
        online = online[online[name] == value]
    return online[online["method"] == method].pivot(index="seed", columns="round", values=values).to_numpy()


def test_the_rows_are_those_of_direct_calls(online: pd.DataFrame) -> None:
    world = sim.world("attributes", attributes=2, contexts=2, strength=0.2)
    tester = sim.world("attributes", attributes=2, contexts=2, strength=1.0, user={"other_optimum": 0.4})
    names = ("sup", "pref", "cost")
    found = arms(edited_by(world, tester), train(sim.sample(world, 60, 5), world, names).policies)
    most = float(found.costs[-1])
    point = {"family": "attributes", "strength": 0.2, "test_other_optimum": 0.4}
    rounds = [1, 2, 4, 5, 8, 13, 20, 30]
    history = play(UCB(0.2 * most, most), found, rounds, 5)
    for column, values in (("cost", history.paid), ("expected_cost", history.expected), ("regret", history.regret)):
        np.testing.assert_allclose(at(online, "late (alpha 0.2)", column, **point), values, rtol=1e-9, atol=1e-12)
    played = at(online, "late (alpha 0.2)", "arm", **point)
    assert played.tolist() == np.array(["sup", "pref", "cost (plug-in)"])[history.arm].tolist()
    expected = np.asarray(found.expected[:, 0])
    np.testing.assert_allclose(at(online, "pref", "expected_cost", **point), expected[:, 1:2] * rounds, rtol=1e-9)
    lost = (expected[:, 0] - expected.min(axis=1))[:, None] * rounds
    np.testing.assert_allclose(at(online, "sup", "regret", **point), lost, rtol=1e-9, atol=1e-12)


def test_the_regularised_cost_is_suboptimality_above_the_optimum(online: pd.DataFrame) -> None:
    world = sim.world("tabular", responses=3, contexts=1, user={"harmful": 0.1})
    tester = sim.world("tabular", responses=3, contexts=1, strength=1.0, user={"harmful": 0.1})
    test = edited_by(world, tester)
    point = {"family": "tabular", "test_other_optimum": 0.0}
    for method in ("uniform", "pref"):
        apart = at(online, method, "regularised_cost", **point) - at(online, method, "suboptimality", **point)
        best = float(test.regularised_cost(test.optimal))
        np.testing.assert_allclose(apart, np.broadcast_to([t * best for t in (1, 2, 4, 5, 8, 13, 20, 30)], apart.shape))


def test_a_worlds_own_user_is_hers_alone(file: str) -> None:
    cells = regimes.cells(regimes.load(file))
    assert [cell.user["harmful"] for cell in cells] == [0.0, 0.0, 0.1]


def test_the_largest_gap_is_its_definition(online: pd.DataFrame) -> None:
    gaps = max_gaps(online)
    last = online[online["round"] == 30]
    for user, rows in last.groupby("test_user", observed=True):
        cost = rows.pivot_table(index="seed", columns=["setting", "method"], values="expected_cost", observed=True) / 30
        settings, methods = sorted(set(rows["setting"])), sorted(set(rows["method"]))
        for method in methods:
            of_means, by_seed = [], []
            for setting in settings:
                of_means.append(cost[setting][method].mean() - min(cost[setting][m].mean() for m in methods))
                by_seed.append(cost[setting][method] - cost[setting].min(axis=1))
            row = gaps[(gaps["test_user"] == user) & (gaps["method"] == method)].iloc[0]
            assert row["max_gap"] == pytest.approx(max(of_means), abs=1e-12)
            assert row["max_gap_by_seed"] == pytest.approx(np.max(by_seed, axis=0).mean(), abs=1e-12)
            assert row["low"] <= row["high"]
    assert (gaps.groupby("test_user")["smallest"].sum() - 1).abs().max() < 1e-12


def test_gaps_are_taken_over_the_axes_asked_for(online: pd.DataFrame) -> None:
    groups = [found.group for found in costs(online, ["family"])]
    assert len(groups) == 2 * 3 and all("strength" in group for group in groups)
    counted = ranks(max_gaps(online, ["family"]))
    assert counted["best"].sum() >= 6 and (counted["groups"] == 6).all()
    assert "max_gap over 6 draws" not in text_tables(online, ["family"])
    one = max_gaps(online[online["seed"] == 0])
    assert one["error_by_seed"].isna().all() and (one["low"] == one["high"]).all()


def test_resampling_is_multinomial() -> None:
    weights = resampling(7)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    assert abs(weights.mean() - 1 / 7) < 1e-12 and resampling(7) is weights


def test_a_run_resumes_and_extends_to_the_same_bits(file: str, tmp_path: Path, online: pd.DataFrame) -> None:
    whole, pieces = tmp_path / "whole", tmp_path / "pieces"
    sim.run(file, whole)
    sim.run(file, pieces, overrides=["seeds=2"])
    (lost, *_) = sorted((pieces / "chunks").glob("*.online.parquet"))
    lost.unlink()
    sim.run(file, pieces, resume=True)
    pd.testing.assert_frame_equal(sim.load(pieces, "online.parquet"), sim.load(whole, "online.parquet"), rtol=0, atol=0)
    pd.testing.assert_frame_equal(sim.load(pieces), sim.load(whole), rtol=0, atol=0)
    stored = sim.load(whole, "online.parquet")
    np.testing.assert_array_equal(stored["cost"], online["cost"])
    reloaded = regimes.load(str(whole / "regime.toml"))
    assert regimes.differences(regimes.load(file), reloaded) == []
    with pytest.raises(sim.BadInput, match="online: the folder has"):
        sim.run(file, pieces, overrides=["online.rounds=40"], resume=True)
    with pytest.raises(sim.BadInput, match="learners: the folder has"):
        sim.run(file, pieces, overrides=["learners=['sup', 'pref', 'cost', 'early']"], resume=True)


def test_a_seeds_rows_do_not_depend_on_what_runs_beside_it(file: str, online: pd.DataFrame) -> None:
    alone = sim.run_online(file, overrides=["seeds=1", "world.strength=0.2", "test_user.other_optimum=0.4"])
    point = {"family": "attributes", "strength": 0.2, "test_other_optimum": 0.4}
    for column in ("cost", "regret", "suboptimality"):
        np.testing.assert_array_equal(
            at(alone[alone["family"] == "attributes"], "late (alpha theory)", column),
            at(online, "late (alpha theory)", column, **point)[:1],
        )


def test_blocks_of_seeds_have_their_own_draws(file: str) -> None:
    less = ["world.family=attributes", "learners=['sup']", "online.rules=['uniform']", "online.rounds=3"]
    # Setting the family replaces the world table; alpha belongs to a rule that is gone.
    text = Path(file).read_text().replace('alpha = [0.2, "theory"]\n', "")
    path = Path(file).with_name("blocks.toml")
    path.write_text(text)
    rows = sim.run_online(str(path), overrides=[*less, f"seeds={ONLINE_LANES + 2}", "test_user.other_optimum=0.0"])
    paid = rows[(rows["method"] == "uniform") & (rows["round"] == 3)].set_index("seed")["cost"]
    assert len(paid) == ONLINE_LANES + 2 and paid.nunique() > 2


@pytest.mark.slow
def test_phases_of_a_test_user(tmp_path: Path) -> None:
    path = tmp_path / "drift.toml"
    path.write_text(
        'n = [50]\nseeds = 2\nlearners = ["sup", "pref"]\n[world]\nfamily = "attributes"\nattributes = 2\n'
        "[[test_user]]\nstrength = 1.0\n[[test_user]]\nfrom_round = 6\nother_optimum = 1.0\n"
        '[online]\nrounds = 10\nrecorded = 10\nrules = ["uniform"]\n'
    )
    rows = sim.run_online(str(path))
    assert set(rows["test_user"]) == {"strength = 1; from round 6: other_optimum = 1"}
    world = sim.world("attributes", attributes=2)
    users = [
        sim.world("attributes", attributes=2, strength=1.0),
        sim.world("attributes", attributes=2, user={"other_optimum": 1.0}),
    ]
    trained = train(sim.sample(world, 50, 2), world, ("sup", "pref"))
    found = arms([edited_by(world, user) for user in users], trained.policies, (0, 5))
    history = play(sim.online.Uniform(), found, rows["round"].unique(), 2)
    np.testing.assert_allclose(at(rows, "uniform", "regret"), history.regret, rtol=1e-9, atol=1e-12)
    of_sup = np.asarray(found.expected[:, :, 0])
    rounds = rows["round"].unique()
    expected = of_sup[:, :1] * np.minimum(rounds, 5) + of_sup[:, 1:] * np.maximum(rounds - 5, 0)
    np.testing.assert_allclose(at(rows, "sup", "expected_cost"), expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["online.rounds=2"], r"online.rounds: expected at least one per policy \(3\), got 2"),
        (["learners=['reference']"], "baselines only"),
        (["online.alpha=-1"], "online.alpha: expected"),
        (["online.alpha='much'"], "online.alpha: expected"),
        (["online.alpha=[]"], "online.alpha: expected at least one value"),
        (["online.alpha=[0.1, 0.1]"], "no value twice"),
        (["online.rules=['ubc']"], "did you mean 'ucb'"),
        (["online.rules=[]"], "online.rules"),
        (["online.alhpa=1"], "did you mean 'alpha'"),
        (["online.window=5"], "none of the rules ucb, uniform has this setting"),
        (["online.warm_start=1"], "true or false"),
        (["online.settings=['strenght']"], "did you mean 'strength'"),
        (["online.recorded=0"], "online.recorded"),
        (["test_user.strenght=1.0"], "did you mean 'strength'"),
        (["test_user.strength=2.0"], "test_user: strength"),
        (["test_user.attributes=3"], "test_user.attributes: .* stay the log's"),
        (["test_user.from_round=2"], "the first phase from round 1"),
        (["online=1"], "'online' is a table"),
        (["online.rules=['late']"], "write ucb"),
        (["online.settings=['test_strength']"], "test users have tables of their own"),
        (["online.settings=['strength', 'strength']"], "no value twice"),
        (["test_user.temperature=0.1"], "test_user.temperature: .* stay the log's"),
        (["test_user.other_optimun=0.1"], "did you mean 'other_optimum'"),
        (["online.rules=['discounted-ucb']", "online.discount='theory'"], "online.discount: expected"),
        (["online.rules=['sliding-window-ucb']", "online.window=1000000000000000000"], "online.window: expected"),
    ],
)
def test_bad_input_is_one_line(overrides: list[str], words: str, file: str) -> None:
    with pytest.raises(sim.BadInput, match=words) as caught:
        sim.run_online(file, overrides=overrides)
    assert "\n" not in str(caught.value)


def small(tmp_path: Path, text: str, *overrides: str) -> pd.DataFrame:
    (tmp_path / "mine.toml").write_text(text)
    return sim.run_online(str(tmp_path / "mine.toml"), overrides=list(overrides))


LEAST = 'n = [30]\nseeds = 2\nlearners = ["sup", "pref"]\n[world]\nattributes = 1\n[online]\nrounds = 6\n'


@pytest.mark.slow
def test_odd_but_legal_phases_run(tmp_path: Path) -> None:
    nothing = small(tmp_path, LEAST, "world.attributes=0")
    assert (nothing["cost"] == 0).all()
    gaps = max_gaps(nothing)
    assert (gaps["smallest"] == 0).all() and (gaps["max_gap"] == 0).all()
    close = small(tmp_path, LEAST, "world.strength=[0.50000001, 0.50000002]")
    assert close["setting"].nunique() == 2
    long = small(tmp_path, LEAST, "online.rules='sliding-window-ucb'", "online.window=999999999", "online.recorded=1")
    assert long["round"].unique().tolist() == [1, 6]
    both = small(tmp_path, LEAST, "online.rules=['ucb', 'perceptron']", "online.informativeness=0.3")
    assert "perceptron (informativeness 0.3)" not in set(max_gaps(both)["method"])


def test_a_worlds_own_user_can_be_set(file: str) -> None:
    cells = regimes.cells(regimes.load(file, ["world.user.harmful=0.2"]))
    assert [cell.user["harmful"] for cell in cells] == [0.2, 0.2, 0.2]


def test_rules_of_ones_own_must_not_take_a_learners_name(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sim.online.RULES, "sup", UCB)
    with pytest.raises(sim.BadInput, match="the name of a learner"):
        regimes.load(file, ["online.rules=['sup']"])
    with pytest.raises(sim.BadInput, match="expected a dataclass"):
        sim.online.register(type("Bare", (UCB,), {"name": "bare"}))


def test_tables_that_are_not_whole_are_refused(online: pd.DataFrame) -> None:
    for part in (online[(online["seed"] > 0) | (online["method"] != "sup")], online[online["seed"] < 0]):
        with pytest.raises(sim.BadInput, match="online table: expected"):
            max_gaps(part)
    with pytest.raises(sim.BadInput, match="did you mean 'strength'"):
        max_gaps(online, ["strenght"])
    with pytest.raises(sim.BadInput, match="a recorded round"):
        list(costs(online, None, 7))


@pytest.mark.parametrize("damaged", ["*[!e].parquet", "*.online.parquet"])
def test_damage_behind_a_good_footer_is_done_again(file: str, tmp_path: Path, damaged: str) -> None:
    sim.run(file, tmp_path, overrides=["seeds=2"])
    whole = sim.load(tmp_path, "online.parquet"), sim.load(tmp_path)
    chunk = sorted((tmp_path / "chunks").glob(damaged))[0]
    content = bytearray(chunk.read_bytes())
    content[10:1000] = bytes(990)
    chunk.write_bytes(bytes(content))
    sim.run(file, tmp_path, overrides=["seeds=3"], resume=True)
    found = sim.load(tmp_path, "online.parquet"), sim.load(tmp_path)
    for before, after in zip(whole, found, strict=True):
        assert before.equals(after[after["seed"] < 2].reset_index(drop=True))


def test_a_test_user_needs_an_online_phase(tmp_path: Path) -> None:
    path = tmp_path / "no.toml"
    path.write_text('n = [5]\nlearners = ["sup"]\n[test_user]\nstrength = 1.0\n')
    with pytest.raises(sim.BadInput, match=r"add \[online\]"):
        regimes.load(str(path))
    path.write_text('n = [5]\nlearners = ["sup"]\n')
    with pytest.raises(sim.BadInput, match="expected one with a table"):
        sim.run_online(str(path))
    with pytest.raises(sim.BadInput, match=r"no online.parquet"):
        store.load(tmp_path, "online.parquet")

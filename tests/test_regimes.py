"""Regime files: defaults, precedence, axes, refusals, and the round trip through the result folder."""

from pathlib import Path

import pytest

from sim import BadInput, regimes

LEAST = """
n = [1000, 4000]
seeds = 6
learners = ["sup", "pref"]
[world]
family = "attributes"
strength = [1.0, 0.5]
"""


def written(folder: Path, text: str = LEAST) -> str:
    path = folder / "mine.toml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("name", sorted(regimes.shipped()))
def test_shipped_regimes_resolve_and_say_what_they_claim(name: str) -> None:
    regime = regimes.load(name)
    assert regime.title and regime.claim and regime.run_time
    assert regimes.cells(regime) and regimes.learner_grid(regime)


def test_default_regime_is_the_main_job() -> None:
    regime = regimes.load()
    assert regime.name == "tradeoffs"
    assert regime.world[0]["strength"] == [1.0, 0.5, 0.2, 0.1]
    assert (min(regime.n), max(regime.n), regime.seeds) == (100, 100_000, 200)
    labels = [(name, settings.get("link")) for name, settings in regimes.learner_grid(regime)]
    assert ("pref", "balance") in labels and ("pref", "paper") in labels and ("reference", None) in labels


def test_axes_multiply_and_defaults_fill_the_rest(tmp_path: Path) -> None:
    regime = regimes.load(written(tmp_path), ["user.harmful=[0.0, 0.1, 0.2]", "pref.link=['balance', 'paper']"])
    cells = regimes.cells(regime)
    assert len(cells) == 2 * 3 * 2
    assert {(c.world["strength"], c.user["harmful"], c.n) for c in cells} == {
        (s, h, n) for s in (1.0, 0.5) for h in (0.0, 0.1, 0.2) for n in (1000, 4000)
    }
    assert cells[0].world["temperature"] == 0.5
    assert [name for name, _ in regimes.learner_grid(regime)] == ["sup", "pref", "pref"]


def test_command_line_wins_over_file_and_the_last_setting_wins(tmp_path: Path) -> None:
    regime = regimes.load(written(tmp_path), ["n=[7]", "seeds=3", "seeds=4", "world.strength=0.25"])
    assert (regime.n, regime.seeds, regime.world[0]["strength"]) == ([7], 4, 0.25)


def test_setting_the_family_replaces_the_world_table(tmp_path: Path) -> None:
    regime = regimes.load(written(tmp_path), ["world.family=tabular", "world.responses=5"])
    assert regime.world[0]["family"] == "tabular"
    assert regime.world[0]["strength"] == 0.5 and regime.world[0]["responses"] == 5


def test_several_world_tables(tmp_path: Path) -> None:
    text = 'n = 10\nlearners = ["sup"]\n[[world]]\nfamily = "tabular"\n[[world]]\nstrength = 1\n'
    regime = regimes.load(written(tmp_path, text), ["world.contexts=2"])
    assert [w["family"] for w in regime.world] == ["tabular", "attributes"]
    assert [c.world["contexts"] for c in regimes.cells(regime)] == [2, 2]


@pytest.mark.parametrize(
    ("override", "fragment"),
    [
        ("world.strenght=0.5", "did you mean 'strength'"),
        ("world.strength=1.5", "strength: Input should be less than or equal to 1, got 1.5"),
        ("world.strength=strong", "strength"),
        ("world.strength=[]", "world.strength: expected at least one value"),
        ("world.temperature=0", "temperature: Input should be greater than 0"),
        ("world.family=atributes", "did you mean 'attributes'"),
        ("world.family=nothere.npz", "no such world file"),
        ("learners=['sub']", "did you mean 'sup'"),
        ("learners=[]", "learners"),
        ("learners=['sup', 'sup']", "no value twice"),
        ("cost.radius=1", "add 'cost' to learners"),
        ("name=../x", "name"),
        ("policy.size=3", "only classes 'mixture' and 'list' have a size"),
        ("world.strength=[0.5, 0.5]", "no value twice"),
        ("user.second_editor=foo", "unknown editor"),
        ("pref.link=papr", "did you mean 'paper'"),
        ("pref.rigde=1", "did you mean 'ridge'"),
        ("pref.ridge=-1", "pref.ridge: expected a number in [0, inf]"),
        ("pref.ridge=big", "pref.ridge: expected one number"),
        ("n=[0]", "sizes of at least 1"),
        ("n=[]", "n:"),
        ("n=[10.5]", "n.0: Input should be a valid integer"),
        ("n=[10, 10]", "no value twice"),
        ("seeds=0", "seeds: Input should be greater than or equal to 1"),
        ("seeds=2.5", "seeds"),
        ("root_seed=-1", "root_seed"),
        ("delta=1.0", "delta"),
        ("user.editor=lasy", "did you mean 'lazy'"),
        ("user.hamful=0.1", "did you mean 'harmful'"),
        ("user.cyclic=2", "user.cyclic"),
        ("policy.class=mix", "did you mean 'mixture'"),
        ("policy.sise=3", "did you mean 'size'"),
        ("seed=3", "did you mean 'seeds'"),
        ("world=3", "'world' is a table"),
        ("a.b.c=3", "expected key, table.key or world.user.key"),
        ("nonsense", "expected key=value"),
    ],
)
def test_refusals_name_what_is_wrong(tmp_path: Path, override: str, fragment: str) -> None:
    with pytest.raises(BadInput) as refused:
        regime = regimes.load(written(tmp_path), [override])
        for cell in regimes.cells(regime):
            from sim import world

            world(cell.family, user=cell.user, **cell.world)
    assert fragment in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "fragment"),
    [
        ("n = [", "not a TOML file"),
        ("learners = ['sup']", "n: expected the sizes"),
        ("n = 10", "learners: expected a list"),
        ("n = 10\nlearners = ['sup']\nworld = 3", "world: expected a table"),
        ("n = 10\nlearners = ['sup']\nplugins = ['gone.py']", "gone.py: cannot be read"),
    ],
)
def test_broken_files(tmp_path: Path, content: str, fragment: str) -> None:
    with pytest.raises(BadInput, match=fragment):
        regimes.load(written(tmp_path, content))


def test_missing_file_and_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        regimes.load(str(tmp_path / "none.toml"))
    with pytest.raises(BadInput, match="did you mean 'tradeoffs'"):
        regimes.load("tradeofs")


@pytest.mark.parametrize("name", sorted(regimes.shipped()))
def test_a_stored_regime_reads_back_equal(tmp_path: Path, name: str) -> None:
    regime = regimes.load(name)
    (tmp_path / "regime.toml").write_text(regimes.to_toml(regime, tmp_path))
    assert regimes.load(str(tmp_path / "regime.toml")) == regime


def changed(tmp_path: Path, *overrides: str) -> list[str]:
    old = regimes.load(written(tmp_path))
    return regimes.differences(old, regimes.load(written(tmp_path), list(overrides)))


@pytest.mark.parametrize(
    "override",
    ["n=[1000, 4000, 9]", "seeds=7", "learners=['sup', 'pref', 'cost']", "world.strength=[0.5, 0.1, 1.0]",
     "world.temperature=[0.5, 1.0]", "pref.link=['balance', 'paper']", "user.harmful=[0.0, 0.1]"],
)  # fmt: skip
def test_more_of_an_axis_extends(tmp_path: Path, override: str) -> None:
    assert changed(tmp_path, override) == []


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("n=[1000]", "n: the folder has [1000, 4000], the regime has [1000]"),
        ("seeds=5", "seeds: the folder has 6, the regime has 5"),
        ("learners=['sup']", "learners"),
        ("world.strength=[1.0]", "world.strength"),
        ("world.temperature=1.0", "world.temperature: the folder has 0.5, the regime has 1.0"),
        ("pref.link=paper", "pref.link: the folder has 'balance', the regime has 'paper'"),
        ("root_seed=1", "root_seed: the folder has 0, the regime has 1"),
        ("world.family=tabular", "world.family"),
        ("policy.class=list", "policy.class"),
    ],
)
def test_any_other_change_is_named(tmp_path: Path, override: str, said: str) -> None:
    assert any(line.startswith(said) for line in changed(tmp_path, override))

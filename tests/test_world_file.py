"""The world file: written and read back, planted or solved, and refused when it is bad."""

import gc

import jax.numpy as jnp
import numpy as np
import pytest
import reference as ref
from agreement import close

from sim import worldfile
from sim.errors import BadInput
from sim.families import world
from sim.users import User
from sim.world import plant


@pytest.fixture
def file_of(tmp_path):
    """Save arrays as a world file; None leaves one out."""

    def save(**arrays):
        path = tmp_path / "own.npz"
        np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
        return path

    return save


def arrays_of(sizes=(2, 5, 3, 7), zeros=False):
    """The arrays of a legal file with an optimum."""
    given = ref.world_arguments(6, *sizes, zeros=zeros)
    names = {"kernel": "edit_kernel", "distance": "edit_distance"}
    return {names.get(name, name): value for name, value in given.items()}


WORLDS = {
    "attributes": lambda: world("attributes", strength=0.3),
    "tabular": lambda: world("tabular", user={"editor": "barker", "cyclic": 0.1}),
    "tempered": lambda: world("tabular", user={"tempered": 1.0}),
    "lowrank-cost": lambda: world("lowrank-cost"),
    "self-consistent": lambda: world("self-consistent"),
    "random": lambda: plant(**ref.world_arguments(6, 3, 7, 2, 5)),
    "zeros": lambda: plant(**ref.world_arguments(6, 3, 7, 2, 5, zeros=True)),
    "one response": lambda: world("tabular", responses=1, contexts=1),
}


@pytest.mark.parametrize("name", WORLDS)
def test_world_file_gives_the_world_back(name, tmp_path):
    before = WORLDS[name]()
    worldfile.write(before, tmp_path / "own.npz")
    after = world(str(tmp_path / "own.npz"))
    policy = jnp.full((before.contexts, before.responses), 1 / before.responses)
    for functional in ("suboptimality", "regularised_cost", "cost", "edited"):
        for argument in (policy, before.reference):
            np.testing.assert_allclose(
                getattr(after, functional)(argument), getattr(before, functional)(argument), rtol=1e-12, atol=1e-14
            )
    for array in ("context_probs", "reference", "optimal", "expected_cost", "distance", "temperature"):
        np.testing.assert_allclose(getattr(after, array), getattr(before, array), rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(after.editor.kernel, before.editor.kernel)
    np.testing.assert_array_equal(after.policy_features.table, before.policy_features.table)
    np.testing.assert_array_equal(after.cost_features.table, before.cost_features.table)


@pytest.mark.parametrize("zeros", [False, True])
def test_file_with_an_optimum_is_planted(file_of, zeros):
    given = arrays_of(zeros=zeros)
    found = world(str(file_of(**given)))
    cost = ref.expected_cost(given["edit_kernel"], given["edit_distance"])
    close(found.optimal, given["optimal"])
    close(found.reference, ref.planted_reference(given["optimal"], cost, given["temperature"]))


@pytest.mark.parametrize("zeros", [False, True])
def test_minimal_file_with_a_reference_gives_the_optimum_of_eq_1(file_of, zeros):
    given = arrays_of(zeros=zeros)
    reference = given.pop("optimal")
    del given["cost_features"]
    found = world(str(file_of(**given, reference=reference)))
    cost = ref.expected_cost(given["edit_kernel"], given["edit_distance"])
    close(found.reference, reference)
    close(found.optimal, ref.optimum(reference, cost, given["temperature"]))
    np.testing.assert_array_equal(found.cost_features.table, np.eye(10).reshape(2, 5, 10))


def both(tilt):
    """A file with both policies, whose optimum is off by a factor 1 +- tilt."""
    given = arrays_of()
    cost = ref.expected_cost(given["edit_kernel"], given["edit_distance"])
    reference = ref.planted_reference(given["optimal"], cost, given["temperature"])
    tilted = given["optimal"] * np.exp(tilt * np.array([1, -1, 0, 0, 0]))
    return given | {"optimal": tilted / tilted.sum(axis=1, keepdims=True), "reference": reference}


def test_file_with_both_policies_must_agree(file_of):
    close(world(str(file_of(**both(1e-10)))).optimal, arrays_of()["optimal"], tolerance=1e-9)
    with pytest.raises(BadInput, match=r"'optimal' and 'reference' disagree: .* leave one of them out"):
        world(str(file_of(**both(1e-6))))


BAD_FILES = [
    ({"edit_kernel": None}, "expected the array 'edit_kernel', which is missing"),
    ({"context_probs": None}, "expected the array 'context_probs', which is missing"),
    ({"temperature": None}, "expected the array 'temperature', which is missing"),
    ({"policy_features": None}, "expected the array 'policy_features', which is missing"),
    ({"edit_distance": None}, "expected the array 'edit_distance', which is missing"),
    ({"optimal": None}, "expected 'optimal' or 'reference'"),
    ({"edit_kernels": np.ones(1)}, "unknown array 'edit_kernels'; did you mean 'edit_kernel'?"),
    ({"context_probs": np.full(3, 1 / 3)}, "optimal: expected shape (3, any), got (2, 5)"),
    ({"edit_kernel": np.full((2, 3, 3), 1 / 3)}, "edit_kernel: expected shape (2, 5, 5), got (2, 3, 3)"),
    ({"edit_kernel": np.full((5, 5), 0.2)}, "edit_kernel: expected 3 axes, got shape (5, 5)"),
    ({"edit_kernel": np.full((2, 5, 5), 0.3)}, "edit_kernel: expected entries that sum to 1, got 1.5 in row (0, 0)"),
    ({"edit_distance": np.zeros((5, 5))}, "edit_distance: expected positive distances off the diagonal, got 0"),
    ({"edit_distance": np.ones((5, 5))}, "edit_distance: expected a zero diagonal"),
    ({"edit_distance": np.where(np.eye(5) > 0, 0, np.inf)}, "edit_distance: expected finite numbers"),
    ({"temperature": np.float64(0.0)}, "temperature: expected a number above 0, got 0"),
    ({"temperature": np.ones(2)}, "temperature: expected one number"),
    ({"temperature": np.array("warm")}, "temperature: expected one number"),
    ({"policy_features": np.ones((2, 5))}, "policy_features: expected 3 axes, got shape (2, 5)"),
    ({"policy_features": np.ones((5, 2, 3))}, "policy_features: expected shape (2, 5, any), got (5, 2, 3)"),
    ({"cost_features": np.ones((2, 5, 0))}, "cost_features: expected at least one feature"),
    ({"optimal": np.full((2, 5), "a")}, "optimal: expected numbers"),
    ({"optimal": np.full((2, 5), np.nan)}, "optimal: expected finite numbers"),
    ({"optimal": np.zeros((2, 5), dtype=[("a", float)])}, "optimal: expected"),
]


@pytest.mark.parametrize(("change", "message"), BAD_FILES, ids=[message[:60] for _, message in BAD_FILES])
def test_bad_file_is_refused_with_its_path_and_the_reason(file_of, change, message):
    path = file_of(**(arrays_of() | change))
    with pytest.raises(BadInput) as caught:
        world(str(path))
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def assert_unreadable(path, message="not a readable .npz world file"):
    with pytest.raises(BadInput) as caught:
        world(str(path))
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert message in text
    assert "\n" not in text
    # A file that was left open warns when it is collected: here, not in whatever test comes next.
    del caught
    gc.collect()


@pytest.mark.parametrize("kept", [0.0, 0.01, 0.3, 0.7, 0.999])
def test_truncated_file_is_refused(file_of, kept):
    path = file_of(**arrays_of())
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    assert_unreadable(path)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("place", [0.2, 0.5])
def test_damaged_file_is_refused(tmp_path, save, place):
    path = tmp_path / "own.npz"
    save(path, **arrays_of())
    content = bytearray(path.read_bytes())
    start = int(place * len(content))
    content[start : start + 64] = bytes(255 - byte for byte in content[start : start + 64])
    path.write_bytes(content)
    assert_unreadable(path, "")


@pytest.mark.parametrize("content", [b"not a zip at all", b"PK\x03\x04 nor this", b"\x80\x04N."])
def test_file_that_is_no_archive_is_refused(tmp_path, content):
    path = tmp_path / "own.npz"
    path.write_bytes(content)
    assert_unreadable(path)


def test_array_file_under_the_wrong_name_is_refused(tmp_path):
    path = tmp_path / "own.npz"
    with path.open("wb") as file:
        np.save(file, np.ones((2, 5)))
    assert_unreadable(path)


def test_missing_file_and_folder_are_refused(tmp_path):
    assert_unreadable(tmp_path / "none.npz", "no such world file")
    (tmp_path / "folder.npz").mkdir()
    assert_unreadable(tmp_path / "folder.npz")


def test_pickled_arrays_are_refused(file_of):
    kernel = np.empty((2, 5, 5), dtype=object)
    kernel[...] = 0.2
    assert_unreadable(file_of(**(arrays_of() | {"edit_kernel": kernel})))


def test_file_holds_its_own_user_and_parameters(file_of):
    path = str(file_of(**arrays_of()))
    assert world(path, user=User()).responses == 5
    with pytest.raises(BadInput, match=r"remove the \[user\] settings"):
        world(path, user={"cyclic": 0.5})
    with pytest.raises(BadInput, match="strength"):
        world(path, strength=0.5)


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "own.npz"
    worldfile.write(world("tabular"), path)
    before = path.read_bytes()

    def fail(file, **_):
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(BadInput, match=r"cannot be written \(disk full\); make room there"):
        worldfile.write(world("attributes"), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]

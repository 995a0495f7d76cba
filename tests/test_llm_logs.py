"""The file of a log of text edits: what is written comes back, and what cannot be used is refused in one line."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.errors import BadInput
from sim.llm import logs

WORDS = st.text(st.characters(exclude_categories=["Cs"])).filter(lambda text: bool(text.strip()))


def rows(**changes: object) -> pd.DataFrame:
    plain = {
        "task": ["email", "email", "email"],
        "context": ["a", "b", "c"],
        "response": ["one two", "three", "four"],
        "edit": ["one", "three", "four five"],
        "cost": [0.5, 0.0, 1.0],
    }
    return pd.DataFrame(plain | changes)


def refusal(path: Path, table: pd.DataFrame | pa.Table) -> str:
    whole = pa.Table.from_pandas(table, preserve_index=False) if isinstance(table, pd.DataFrame) else table
    pq.write_table(whole, path)
    with pytest.raises(BadInput) as caught:
        logs.read(path)
    message = str(caught.value)
    assert message.startswith(str(path)) and "\n" not in message
    return message


@settings(max_examples=40, deadline=None, derandomize=True)
@given(texts=st.lists(st.tuples(WORDS, WORDS, WORDS), min_size=1, max_size=5))
def test_any_text_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, texts: list[tuple[str, str, str]]
) -> None:
    path = tmp_path_factory.mktemp("logs") / "log.parquet"
    written = pd.DataFrame(texts, columns=["context", "response", "edit"]).assign(task="email", cost=0.25)
    logs.write(path, written)
    read = logs.read(path)
    for name in ("context", "response", "edit"):
        assert read[name].tolist() == written[name].tolist()


def test_numbers_and_names_come_back(tmp_path: Path) -> None:
    known = rows(logprob_response=[-1.5, None, -0.0], group=["news", None, "blog"], user="strong", mark=[1, 2, 3])
    logs.write(tmp_path / "log.parquet", known)
    read = logs.read(tmp_path / "log.parquet")
    assert read["cost"].tolist() == [0.5, 0.0, 1.0] and read["mark"].tolist() == [1, 2, 3]
    np.testing.assert_array_equal(read["logprob_response"], [-1.5, np.nan, -0.0])
    assert read["logprob_edit"].isna().all() and len(read["logprob_edit"]) == 3
    assert [None if pd.isna(name) else name for name in read["group"]] == ["news", None, "blog"]
    assert [path.name for path in tmp_path.iterdir()] == ["log.parquet"]


def test_a_cost_that_is_null_is_computed_and_no_other(tmp_path: Path) -> None:
    asked = []

    def edit_cost(response: str, edit: str) -> float:
        asked.append((response, edit))
        return 1.25

    logs.write(tmp_path / "log.parquet", rows(cost=[0.5, None, 1.0]))
    assert logs.read(tmp_path / "log.parquet", edit_cost=edit_cost)["cost"].tolist() == [0.5, 1.25, 1.0]
    assert asked == [("three", "three")]
    logs.write(tmp_path / "none.parquet", rows().drop(columns="cost"))
    assert logs.read(tmp_path / "none.parquet", edit_cost=edit_cost)["cost"].tolist() == [1.25] * 3


def test_missing_columns_are_named(tmp_path: Path) -> None:
    message = refusal(tmp_path / "log.parquet", rows().drop(columns=["edit", "task"]))
    assert "missing column task, edit" in message and "needs task, context, response, edit" in message
    assert "has context, response, cost" in message


@pytest.mark.parametrize("name", ["context", "response", "edit", "task"])
@pytest.mark.parametrize("nothing", ["", " \n\t", None])
def test_empty_texts_are_counted_and_located(tmp_path: Path, name: str, nothing: str | None) -> None:
    message = refusal(tmp_path / "log.parquet", rows(**{name: ["fine", nothing, nothing]}))
    assert f"2 rows (the first: row 1, counted from 0) have empty '{name}'" in message
    assert f"row 2, counted from 0, has empty '{name}'" in refusal(
        tmp_path / "log.parquet", rows(**{name: ["fine", "fine", nothing]})
    )


def test_an_agent_may_be_allowed_to_answer_nothing(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    silent = rows(response=["", "three", "four"], edit=["", "b", "c"])
    with pytest.raises(BadInput, match="row 0, counted from 0, has empty 'response'"):
        logs.write(path, silent)
    assert not path.exists()
    logs.write(path, silent, empty_responses=True)
    again = logs.read(path, empty_responses=True)
    assert again["response"].tolist() == ["", "three", "four"] and again["edit"].tolist() == ["", "b", "c"]
    with pytest.raises(BadInput, match="empty 'context'"):
        logs.write(path, rows(context=["", "b", "c"]), empty_responses=True)
    with pytest.raises(BadInput, match="null 'response'"):
        logs.write(path, rows(response=[None, "b", "c"]), empty_responses=True)


@pytest.mark.parametrize(("value", "shown"), [(2.5, "2.5"), (-0.1, "-0.1"), (np.inf, "inf"), (np.nan, "nan")])
def test_costs_are_finite_and_within_their_range(tmp_path: Path, value: float, shown: str) -> None:
    table = pa.Table.from_pandas(rows(), preserve_index=False).drop(["cost"])
    message = refusal(tmp_path / "log.parquet", table.append_column("cost", pa.array([0.5, value, 1.0])))
    assert f"row 1, counted from 0, has 'cost' {shown}, expected finite numbers in [0, 2]" in message


def test_log_probabilities_are_at_most_zero(tmp_path: Path) -> None:
    assert "'logprob_edit' 0.5, expected finite numbers of at most 0" in refusal(
        tmp_path / "log.parquet", rows(logprob_edit=[-1.0, -2.0, 0.5])
    )


def test_columns_have_the_types_they_need(tmp_path: Path) -> None:
    assert "column 'edit': expected text, got int64" in refusal(tmp_path / "a.parquet", rows(edit=[1, 2, 3]))
    assert "column 'cost': expected numbers, got" in refusal(tmp_path / "b.parquet", rows(cost=["1", "2", "3"]))
    assert "column 'group': expected text" in refusal(tmp_path / "c.parquet", rows(group=[0.5, 1.0, 2.0]))
    logs.write(tmp_path / "d.parquet", rows(cost=[0, 1, 2], task=pd.Categorical(["email"] * 3)))
    assert logs.read(tmp_path / "d.parquet")["cost"].tolist() == [0.0, 1.0, 2.0]
    assert logs.read(tmp_path / "d.parquet")["task"].tolist() == ["email"] * 3


def test_a_log_without_rows_or_that_is_no_log(tmp_path: Path) -> None:
    texts = pa.schema([(name, pa.string()) for name in logs.REQUIRED])
    assert "the log has no rows" in refusal(tmp_path / "log.parquet", texts.empty_table())
    for content in (b"", b"task,context\n", b"PAR1 and then nothing"):
        (tmp_path / "no.parquet").write_bytes(content)
        with pytest.raises(BadInput, match="not a readable Parquet file"):
            logs.read(tmp_path / "no.parquet")
    whole = tmp_path / "whole.parquet"
    logs.write(whole, rows())
    (tmp_path / "cut.parquet").write_bytes(whole.read_bytes()[:-40])
    with pytest.raises(BadInput, match="not a readable Parquet file"):
        logs.read(tmp_path / "cut.parquet")
    with pytest.raises(BadInput, match="no such log file"):
        logs.read(tmp_path / "absent.parquet")
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "part.parquet").write_bytes(whole.read_bytes())
    with pytest.raises(BadInput, match=r"not a readable Parquet file .*Is a directory"):
        logs.read(tmp_path / "parts")
    with pytest.raises(BadInput, match="File name too long"):
        logs.read(tmp_path / ("x" * 300))


@pytest.mark.parametrize("name", ["edit", "user", "note"])
def test_bytes_that_are_no_unicode_are_refused(tmp_path: Path, name: str) -> None:
    ends = pa.py_buffer(np.array([0, 2, 2, 2], np.int32).tobytes())
    broken = pa.Array.from_buffers(pa.string(), 3, [None, ends, pa.py_buffer(b"\xff\xfe")])
    table = pa.Table.from_pandas(rows(), preserve_index=False)
    table = (table.drop([name]) if name in table.column_names else table).append_column(name, broken)
    assert "not a readable Parquet file (" in refusal(tmp_path / "log.parquet", table)


def test_a_column_that_no_table_can_hold_is_refused(tmp_path: Path) -> None:
    far = pa.array([2**31 - 1] * 3, pa.int32()).cast(pa.date32())
    table = pa.Table.from_pandas(rows(), preserve_index=False).append_column("day", far)
    assert "a column that a log does not need cannot be used" in refusal(tmp_path / "log.parquet", table)


def test_text_that_is_no_unicode_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="valid Unicode"):
        logs.write(tmp_path / "log.parquet", rows().assign(edit=pd.Series(["\ud800", "b", "c"], dtype=object)))
    assert not list(tmp_path.iterdir())

"""The file of a log of text edits: Parquet, one row per logged example.

Columns: `task`, `context` (the document), `response` (what the agent wrote) and `edit` (what the user made of it) are
required; `cost` (capped edit cost; null: to be computed), `logprob_response` and `logprob_edit` (under the reference;
null: unknown), `user` (who edited) and `group` (hidden from the agent) are optional.  Other columns are kept.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from sim.errors import BadInput
from sim.files import atomic_file

REQUIRED = ("task", "context", "response", "edit")
NAMES = ("user", "group")
LOGPROBS = ("logprob_response", "logprob_edit")
NUMBERS = ("cost", *LOGPROBS)
C_MAX = 2.0
"""The largest cost of an edit: what bandits and bounds see is capped here."""
_ROUNDING = 1e-6
"""Single precision may leave a probability of one this far above it."""

EditCost = Callable[[str, str], float]


def write(path: str | Path, rows: pd.DataFrame, empty_responses: bool = False) -> None:
    """Store a log; the file appears whole or not at all.

    Args:
        path: of the file.
        rows: the columns of the module's head; missing numbers are stored as nulls.
        empty_responses: whether a response may be empty, as for `read`.

    Raises:
        BadInput: rows that `read` would refuse, text that is no valid Unicode, a place that cannot be written.
    """
    path = Path(path)
    table = _arrow(path, rows)
    _check(path, table, empty_responses)
    with atomic_file(path) as file:
        pq.write_table(table, file)


def _arrow(path: Path, rows: pd.DataFrame) -> pa.Table:
    try:
        table = pa.Table.from_pandas(rows, preserve_index=False).replace_schema_metadata(None)
    except (pa.ArrowException, UnicodeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise BadInput(f"{path}: the log cannot be stored ({reason}); texts must be valid Unicode") from None
    for name in NUMBERS:
        if name not in table.column_names:
            table = table.append_column(name, pa.nulls(len(table), pa.float64()))
    return table


def read(path: str | Path, empty_responses: bool = False, edit_cost: EditCost | None = None) -> pd.DataFrame:
    """The log of a file, checked, with every cost known.

    Args:
        path: of the file.
        empty_responses: whether a response may be empty, and its edit too.  A simulated agent can answer with nothing,
            which a user may leave as it is; in a log that was recorded elsewhere an empty text is far more likely to be
            a fault of the recording.
        edit_cost: the capped cost of (response, edit) where the file has none; default: that of sim/llm/costs.py.

    Returns:
        A row per example, in the order of the file: texts as they were written, `cost` in [0, 2], `logprob_response`
        and `logprob_edit` with NaN where they are unknown, and whatever other columns the file has.

    Raises:
        BadInput: no such file, not Parquet, no rows, missing columns, columns of the wrong type, empty texts, costs
            outside [0, 2] or not finite, log-probabilities above 0.
    """
    path = Path(path)
    table = _load(path)
    _check(path, table, empty_responses)
    frame = _plain(path, table)
    for name in NUMBERS:
        frame[name] = frame[name].astype(float) if name in frame else np.nan
    unknown = frame["cost"].isna()
    if unknown.any():
        frame["cost"] = frame["cost"].mask(unknown, _costs(frame[unknown], edit_cost))
    return frame


def _load(path: Path) -> pa.Table:
    try:
        # Opened here, a folder is refused rather than read as a table in parts.
        with path.open("rb") as file:
            table = pq.read_table(file).replace_schema_metadata(None)
        # Text that is no valid Unicode is noticed now, rather than where it is used.
        table.validate(full=True)
        return table
    except FileNotFoundError:
        raise BadInput(f"{path}: no such log file") from None
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise BadInput(
            f"{path}: not a readable Parquet file ({reason}); write the log with sim.llm.logs.write"
        ) from None


def _plain(path: Path, table: pa.Table) -> pd.DataFrame:
    texts = {name: _texts(table[name]) for name in (*REQUIRED, *NAMES) if name in table.column_names}
    try:
        return table.to_pandas().assign(**texts)
    except (pa.ArrowException, ValueError, OverflowError) as error:
        reason = str(error).splitlines()[0]
        raise BadInput(f"{path}: a column that a log does not need cannot be used ({reason}); leave it out") from None


def _texts(column: pa.ChunkedArray) -> list[str | None]:
    return column.to_pylist()


def _costs(rows: pd.DataFrame, edit_cost: EditCost | None) -> pd.Series:
    cost_of = _default_cost() if edit_cost is None else edit_cost
    values = [float(cost_of(y, e)) for y, e in zip(rows["response"], rows["edit"], strict=True)]
    return pd.Series(values, index=rows.index, dtype=float)


def _default_cost() -> EditCost:
    # Needs an extra, which a log with all its costs does not.
    from sim.llm.costs import edit_cost

    return edit_cost


def _check(path: Path, table: pa.Table, empty_responses: bool) -> None:
    missing = [name for name in REQUIRED if name not in table.column_names]
    if missing:
        wanted, got = ", ".join(REQUIRED), ", ".join(table.column_names) or "none"
        raise BadInput(f"{path}: missing column {', '.join(missing)}; a log needs {wanted}, and this file has {got}")
    if len(table) == 0:
        raise BadInput(f"{path}: the log has no rows; expected at least one example")
    for name in (*REQUIRED, *NAMES):
        if name in table.column_names:
            _check_type(path, name, table[name])
    for name in REQUIRED:
        _check_texts(path, name, table[name], allow_empty=empty_responses and name in ("response", "edit"))
    for name in NUMBERS:
        if name in table.column_names:
            _check_numbers(path, name, table[name])


def _check_type(path: Path, name: str, column: pa.ChunkedArray) -> None:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    textual = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    if not textual and not (pa.types.is_null(kind)):
        raise BadInput(f"{path}: column '{name}': expected text, got {kind}; store it as strings")


def _check_texts(path: Path, name: str, column: pa.ChunkedArray, allow_empty: bool) -> None:
    texts = _texts(column)
    nulls = [i for i, text in enumerate(texts) if text is None]
    empty = [i for i, text in enumerate(texts) if text is None or not text.strip()]
    wrong, what = (nulls, "null") if allow_empty else (empty, "empty")
    if wrong:
        raise BadInput(f"{path}: {_counted(wrong)} {what} '{name}'; leave these examples out, or fill the column in")


def _check_numbers(path: Path, name: str, column: pa.ChunkedArray) -> None:
    kind = column.type
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind)):
        raise BadInput(f"{path}: column '{name}': expected numbers, got {kind}; store it as doubles, unknown as null")
    # A null is an unknown number, a NaN is a wrong one.
    values = np.array([0.0 if value is None else float(value) for value in column.to_pylist()])
    low, high, within = (0.0, C_MAX, f"in [0, {C_MAX:g}]") if name == "cost" else (-np.inf, _ROUNDING, "of at most 0")
    wrong = np.flatnonzero(~(np.isfinite(values) & (values >= low) & (values <= high)))
    if len(wrong):
        raise BadInput(
            f"{path}: {_counted(list(wrong))} '{name}' {values[wrong[0]]:g}, expected finite numbers {within};"
            " correct them, or store null where the number is unknown"
        )


def _counted(rows: list[Any]) -> str:
    first = f"row {rows[0]}, counted from 0,"
    return f"{first} has" if len(rows) == 1 else f"{len(rows)} rows (the first: {first[:-1]}) have"

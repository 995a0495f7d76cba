"""`report.html`: one self-contained page about one run."""

import base64
import html
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bounds.compare import Comparison
from figures import theory
from sim.files import write_text
from sim.regimes import Regime
from sim.summary import Contest, any_learner, contests

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:72rem;padding:1rem;color:#222;background:#fff}
h1{line-height:1.2}table{border-collapse:collapse;font-size:.85rem}.wide{overflow-x:auto}
th,td{padding:.25rem .6rem;text-align:right;border-bottom:1px solid #ddd;white-space:nowrap}
td.best{font-weight:700;background:#e3f1e3}
td.tied{font-weight:700;background:#f3f3e0}
td.bad{font-weight:700;background:#f6dcdc}
figure{margin:1.5rem 0}.wide img{width:100%;min-width:36rem;height:auto}
figcaption{font-size:.9rem;color:#444}pre{overflow-x:auto;background:#f6f6f6;padding:.7rem;font-size:.8rem}
.tall{max-height:75vh;overflow-y:auto}
@media print{.tall{max-height:none}figure,tr{break-inside:avoid}}
"""


def write(
    folder: Path,
    regime: Regime,
    table: pd.DataFrame,
    drawn: list[dict[str, Any]],
    found: Comparison,
    online: str = "",
) -> Path:
    """Write the report of a run folder; pictures are inside, nothing is fetched.

    Args:
        folder: of the run, with its regime.toml and provenance.json.
        regime: that was run.
        table: its rows.
        drawn: the figures, from `save_all` of each kind.
        found: theory beside the measurements, from `bounds.compared`.
        online: the section about the online phase, as HTML; empty where there is none.
    """
    path = folder / "report.html"
    statuses = table["status"].value_counts()
    provenance = json.loads((folder / "provenance.json").read_text())
    figures = "".join(_figure(folder, figure) for figure in drawn)
    body = f"""<h1>{_text(regime.title or regime.name)}</h1>
<p>{_text(regime.claim)}</p>
{f"<h2>Online phase</h2>{online}" if online else ""}
{_offline(table, found, regime.delta) if any_learner(table) else ""}
<h2>Figures</h2>{figures}
<h2>Fits</h2>
<p>{len(table)} fits: {", ".join(f"{count} {_text(str(status))}" for status, count in statuses.items())}. None was
left out.</p>
<h2>What was run</h2>
<pre>{_text((folder / "regime.toml").read_text())}</pre>
<h2>Provenance</h2>
<pre>{_text(json.dumps(provenance, indent=2))}</pre>"""
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{_text(regime.title or regime.name)}</title><style>{_STYLE}</style></head><body>{body}</body></html>\n"
    )
    write_text(path, page)
    return path


def _offline(table: pd.DataFrame, found: Comparison, delta: float) -> str:
    """Who wins among the fits, and theory beside them."""
    return f"""<h2>Who wins</h2>
<p>Mean suboptimality (exact, of each fitted policy) over {table["seed"].nunique()} logs; the best learner of a row
is bold on green, or bold on yellow if its lead is within two standard errors; baselines that need no log do not
compete. The lead is over the next learner on the same logs, with its paired standard error.</p>
<div class="tall">{_contest_table(contests(table))}</div>
<h2>Theory beside measurement</h2>
{theory.section(found, delta)}"""


def _contest_table(found: list[Contest]) -> str:
    grid = list(found[0].cell)
    names = list(dict.fromkeys(name for contest in found for name in contest.means))
    return theory.table([*grid, "n", *names, "lead ± se", "not ok"], [_row(c, grid, names) for c in found])


def _row(contest: Contest, grid: list[str], names: list[str]) -> list[str]:
    cells = [theory.cell(_cell(contest.cell[a])) for a in grid] + [theory.cell(contest.n)]
    for name in names:
        mark = ("best" if contest.clear else "tied") if name == contest.winner else ""
        cells.append(theory.cell(_mean(contest.means[name]) if name in contest.means else "", mark))
    error = "" if np.isnan(contest.gap_error) else f" ± {contest.gap_error:.1g}"
    lead = f"{contest.gap:.2g}{error}" if contest.runner_up else ""
    return [*cells, theory.cell(lead), theory.cell(contest.not_ok)]


def _mean(value: float) -> str:
    """A mean of suboptimalities; what rounding leaves of zero is zero."""
    return "0" if value < 1e-15 else f"{value:.3g}"


def _cell(value: Any) -> str:
    return "" if pd.isna(value) else f"{value:g}" if isinstance(value, float) else str(value)


def _figure(folder: Path, figure: dict[str, Any]) -> str:
    picture = base64.b64encode((folder / "figures" / f"{figure['name']}.png").read_bytes()).decode()
    caption = _text(figure["caption"])
    return (
        f'<figure><div class="wide"><img alt="{caption}" src="data:image/png;base64,{picture}"></div>'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _text(value: str) -> str:
    return html.escape(value)

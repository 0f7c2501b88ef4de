"""Plots of a grid; the only file that imports matplotlib.

No pyplot: it keeps global state, and is not made for the threads of a notebook.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from di_magics.core.errors import ParamError
from di_magics.core.sweep.measures import Statistics, group_statistics
from di_magics.core.sweep.runs import Vary

INK = "#808080"
"""A grey that can be read on white and on black."""
LINE = "#2a8be0"
NAMES = {
    "cost": "cost in USD",
    "completion_tokens": "tokens of the reply",
    "prompt_tokens": "tokens of the prompt",
    "tokens_per_second": "tokens per second",
    "first_token": "seconds to the first text",
    "elapsed": "seconds",
    "distinct_1": "distinct words / words",
    "distinct_2": "distinct pairs of words / pairs",
    "diversity": "diversity of the replies",
}


def figure(
    records: Sequence[Mapping[str, Any]],
    vary: Vary,
    repeats: int,
    y: str | None = None,
    x: str | None = None,
) -> Any:
    """Return a matplotlib Figure of a measure against a column, its spread shaded.

    Without names: what was varied first, and how diverse the replies are where each was asked for
    more than once, else their words. Raises ParamError where matplotlib is missing, or a column.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise ParamError(
            "Plots need matplotlib: install di_magics with its extra [plot]. The numbers are in "
            ".records, .to_csv() and .to_pandas()."
        ) from None
    x = x or next(iter(vary), "repeat")
    y = y or ("diversity" if repeats > 1 else "words")
    found = group_statistics(records, x, y)
    drawn = Figure(figsize=(6.4, 3.6), dpi=110, layout="constrained")
    FigureCanvasAgg(drawn)
    drawn.patch.set_alpha(0)
    axes = drawn.add_subplot()
    axes.patch.set_alpha(0)
    _draw(axes, found)
    axes.set_xlabel(NAMES.get(x, x), color=INK)
    axes.set_ylabel(NAMES.get(y, y), color=INK)
    axes.tick_params(colors=INK)
    for spine in axes.spines.values():
        spine.set_color(INK)
    axes.grid(color=INK, alpha=0.25)
    title = f"{len(records)} replies"
    if any(each.deviation for each in found):
        title += ", mean ± standard deviation"
    axes.set_title(title, color=INK, fontsize=9)
    return drawn


def _draw(axes: Any, found: Sequence[Statistics]) -> None:
    numbers = all(isinstance(each.x, int | float) for each in found)
    at = [each.x for each in found] if numbers else list(range(len(found)))
    means = [each.mean for each in found]
    lows = [each.mean - each.deviation for each in found]
    highs = [each.mean + each.deviation for each in found]
    if numbers and len(found) > 1:
        axes.plot(at, means, color=LINE, marker="o")
        axes.fill_between(at, lows, highs, color=LINE, alpha=0.2, linewidth=0)
        return
    bars = axes.bar(at, means, color=LINE, alpha=0.8, width=0.6)
    axes.errorbar(
        at, means, yerr=[each.deviation for each in found], fmt="none", ecolor=INK, capsize=4
    )
    axes.bar_label(bars, fmt="{:.3g}", color=INK, padding=3)
    axes.set_xticks(at, [str(each.x) for each in found])


def figure_images(drawn: Any) -> dict[str, Any]:
    """Return a figure as PNG and SVG, by MIME type."""
    import io

    found: dict[str, Any] = {}
    for kind, mime in (("png", "image/png"), ("svg", "image/svg+xml")):
        buffer = io.BytesIO()
        drawn.savefig(buffer, format=kind)
        data = buffer.getvalue()
        found[mime] = data if kind == "png" else data.decode()
    return found

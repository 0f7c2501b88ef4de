"""Plots of a sweep; the only file that imports matplotlib.

pyplot is not used: it has global state, and is not made for the threads of a notebook.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from di_magics.core.errors import ParamError
from di_magics.core.sweep.measures import Statistics, group_statistics
from di_magics.core.sweep.runs import Vary
from di_magics.core.visible import one_line

INK = "#808080"
"""A grey that can be read on white and on black."""
LINE = "#2a8be0"
MAX_LABEL_CHARS = 60
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

    By default `x` is the first varied parameter, and `y` the diversity of repeated replies, or
    their number of words. Raises ParamError if matplotlib or a column is missing.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise ParamError(
            "Plots need matplotlib. Install di_magics with its extra [plot]; the numbers are also "
            "in .records."
        ) from None
    x = x or next(iter(vary), "repeat")
    y = y or ("diversity" if repeats > 1 else "words")
    points = group_statistics(records, x, y)
    drawn = Figure(figsize=(6.4, 3.6), dpi=110, layout="constrained")
    FigureCanvasAgg(drawn)
    drawn.patch.set_alpha(0)
    axes = drawn.add_subplot()
    axes.patch.set_alpha(0)
    _draw(axes, points)
    axes.set_xlabel(_label(NAMES.get(x, x)), color=INK, parse_math=False)
    axes.set_ylabel(_label(NAMES.get(y, y)), color=INK, parse_math=False)
    axes.tick_params(colors=INK)
    for spine in axes.spines.values():
        spine.set_color(INK)
    axes.grid(color=INK, alpha=0.25)
    title = f"{len(records)} replies"
    if any(point.deviation for point in points):
        title += ", mean ± standard deviation"
    axes.set_title(title, color=INK, fontsize=9)
    return drawn


def _draw(axes: Any, points: Sequence[Statistics]) -> None:
    numbers = all(isinstance(point.x, int | float) for point in points)
    at = [point.x for point in points] if numbers else list(range(len(points)))
    means = [point.mean for point in points]
    lows = [point.mean - point.deviation for point in points]
    highs = [point.mean + point.deviation for point in points]
    if numbers and len(points) > 1:
        axes.plot(at, means, color=LINE, marker="o")
        axes.fill_between(at, lows, highs, color=LINE, alpha=0.2, linewidth=0)
        return
    bars = axes.bar(at, means, color=LINE, alpha=0.8, width=0.6)
    axes.errorbar(
        at, means, yerr=[point.deviation for point in points], fmt="none", ecolor=INK, capsize=4
    )
    axes.bar_label(bars, fmt="{:.3g}", color=INK, padding=3)
    axes.set_xticks(at, [_label(point.x) for point in points], parse_math=False)


def _label(text: object) -> str:
    """Return text for a plot, which is drawn as it is: dollars do not make a formula of it."""
    return one_line(text, MAX_LABEL_CHARS)


def figure_output(drawn: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a figure as a PNG of twice its size on the page, by MIME type, and its metadata.

    An SVG would be sharper, but nbconvert needs Inkscape for it to write LaTeX.
    """
    import io

    buffer = io.BytesIO()
    drawn.savefig(buffer, format="png", dpi=2 * drawn.dpi)
    width = round(drawn.get_figwidth() * drawn.dpi)
    image = {"image/png": buffer.getvalue(), "text/plain": "(a plot)"}
    return image, {"image/png": {"width": width}}

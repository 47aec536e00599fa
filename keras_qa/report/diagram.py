"""The calibration diagram of a report, as an inline SVG that its style sheet colours."""

from __future__ import annotations

from collections.abc import Sequence

from keras_qa.report.findings import Bin, Point

# In pixels: the square of shares, the strip of counts under it, and what is left around them.
SIDE, STRIP, BETWEEN = 320, 64, 44
LEFT, TOP, UNDER = 56, 10, 46
TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


def diagram(bins: Sequence[Bin]) -> str:
    """Draws how often answers are right against their scores, and how many have such scores.

    Args:
        bins: The bins that hold answers.

    Returns:
        SVG: a bar a bin with its share of right answers, a dot at its mean
        score, the diagonal on which both are equal; and below, a bar with its
        number of answers.

    Examples:
        >>> from keras_qa.report.diagram import diagram
        >>> from keras_qa.report.findings import Bin, Point
        >>> diagram([Bin(0.9, 1.0, 12, 0.95, 0.75)]).startswith("<svg")
        True
    """
    base = SIDE + BETWEEN + STRIP
    width, height = LEFT + SIDE + 14, TOP + base + UNDER
    parts = [
        *_square(),
        *(_bar(part) for part in bins),
        f'<line class="even" x1="0" y1="{SIDE}" x2="{SIDE}" y2="0"/>',
        *(
            f'<circle class="mean" cx="{SIDE * part.score:.1f}" '
            f'cy="{SIDE * (1 - part.accuracy):.1f}" r="4"/>'
            for part in bins
        ),
        _turned("share of right answers", SIDE / 2),
        *_counts(bins, base),
        *(_text(f"{tick:g}", SIDE * tick, y + 18) for y in (SIDE, base) for tick in TICKS),
        _text("score of the answer", SIDE / 2, base + 40, "title"),
        _turned("answers", base - STRIP / 2),
    ]
    return (
        '<svg role="img" aria-label="Calibration diagram: share of right answers, and number of '
        f'answers, by score. The table has its figures." width="{width}" height="{height}" '
        f'viewBox="{-LEFT} {-TOP} {width} {height}">\n' + "\n".join(parts) + "\n</svg>"
    )


def risk_diagram(points: Sequence[Point]) -> str:
    """Draws how many of the given answers are wrong against how many questions get one.

    Args:
        points: The points, the highest score first.

    Returns:
        SVG: a line through all points.

    Examples:
        >>> from keras_qa.report.diagram import risk_diagram
        >>> from keras_qa.report.findings import Point
        >>> risk_diagram([Point(0.9, 1, 0.5, 0.0), Point(0.4, 2, 1.0, 0.5)]).count("320.0,160.0")
        1
    """
    width, height = LEFT + SIDE + 14, TOP + SIDE + UNDER
    line = " ".join(f"{SIDE * one.coverage:.1f},{SIDE * (1 - one.risk):.1f}" for one in points)
    parts = [
        *_square(),
        f'<polyline class="curve" points="{line}"/>',
        *(_text(f"{tick:g}", SIDE * tick, SIDE + 18) for tick in TICKS),
        _turned("share of wrong answers", SIDE / 2),
        _text("share of questions that are answered", SIDE / 2, SIDE + 40, "title"),
    ]
    return (
        '<svg role="img" aria-label="Risk against coverage: share of wrong answers by share of '
        f'questions that are answered. The table has its figures." width="{width}" '
        f'height="{height}" viewBox="{-LEFT} {-TOP} {width} {height}">\n'
        + "\n".join(parts)
        + "\n</svg>"
    )


def _square() -> list[str]:
    parts = []
    for tick in TICKS:
        place = SIDE * (1 - tick)
        parts.append(f'<line class="grid" x1="0" y1="{place:.1f}" x2="{SIDE}" y2="{place:.1f}"/>')
        parts.append(_text(f"{tick:g}", -8, place + 4, anchor="end"))
    parts.append(f'<rect class="axis" width="{SIDE}" height="{SIDE}"/>')
    return parts


def _bar(part: Bin) -> str:
    height = SIDE * part.accuracy
    return (
        f'<rect class="bar" x="{SIDE * part.low:.1f}" y="{SIDE - height:.1f}" '
        f'width="{SIDE * (part.high - part.low):.1f}" height="{height:.1f}"><title>'
        f"Scores {part.low:.1f} to {part.high:.1f}: {part.answers:,} answers, "
        f"mean score {part.score:.3f}, share right {part.accuracy:.3f}</title></rect>"
    )


def _counts(bins: Sequence[Bin], base: int) -> list[str]:
    most = max((part.answers for part in bins), default=1)
    parts = []
    for part in bins:
        height = STRIP * part.answers / most
        middle = SIDE * (part.low + part.high) / 2
        parts.append(
            f'<rect class="count" x="{SIDE * part.low:.1f}" y="{base - height:.1f}" '
            f'width="{SIDE * (part.high - part.low):.1f}" height="{height:.1f}"/>'
        )
        parts.append(_text(short(part.answers), middle, base - height - 4))
    parts.append(f'<line class="axis" x1="0" y1="{base}" x2="{SIDE}" y2="{base}"/>')
    return parts


def short(number: int) -> str:
    """A number in at most four characters and a comma, as wide as a bar.

    Examples:
        >>> from keras_qa.report.diagram import short
        >>> short(9_999), short(12_345), short(999_600), short(2_500_000)
        ('9,999', '12k', '1.0M', '2.5M')
    """
    if number < 10_000:
        return f"{number:,}"
    return f"{number / 1e3:.0f}k" if number < 999_500 else f"{number / 1e6:.1f}M"


def _text(text: str, x: float, y: float, kind: str = "tick", anchor: str = "middle") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'


def _turned(text: str, y: float) -> str:
    return (
        f'<text class="title" transform="translate({14 - LEFT} {y:.1f}) rotate(-90)" '
        f'text-anchor="middle">{text}</text>'
    )

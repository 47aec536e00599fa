"""The calibration diagram of a report."""

from __future__ import annotations

from collections.abc import Sequence

from keras_qa.report.findings import Bin

# Pixels of the diagram: its square, the strip of counts below, and the margins.
SIDE, STRIP, GAP = 320, 64, 44
LEFT, TOP, BOTTOM = 56, 10, 46
TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


def calibration_diagram(bins: Sequence[Bin]) -> str:
    """Returns the diagram as SVG: accuracy by score, and below it the number of answers."""
    base = SIDE + GAP + STRIP
    width, height = LEFT + SIDE + 14, TOP + base + BOTTOM
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
        *_bin_sizes(bins, base),
        *(_text(f"{tick:g}", SIDE * tick, y + 18) for y in (SIDE, base) for tick in TICKS),
        _text("score of the answer", SIDE / 2, base + 40, "title"),
        _turned("answers", base - STRIP / 2),
    ]
    return (
        '<svg role="img" aria-label="Calibration diagram: share of right answers, and number of '
        f'answers, by score. The table has its figures." width="{width}" height="{height}" '
        f'viewBox="{-LEFT} {-TOP} {width} {height}">\n' + "\n".join(parts) + "\n</svg>"
    )


def _square() -> list[str]:
    parts = []
    for tick in TICKS:
        y = SIDE * (1 - tick)
        parts.append(f'<line class="grid" x1="0" y1="{y:.1f}" x2="{SIDE}" y2="{y:.1f}"/>')
        parts.append(_text(f"{tick:g}", -8, y + 4, anchor="end"))
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


def _bin_sizes(bins: Sequence[Bin], base: int) -> list[str]:
    most = max((part.answers for part in bins), default=1)
    parts = []
    for part in bins:
        height = STRIP * part.answers / most
        middle = SIDE * (part.low + part.high) / 2
        parts.append(
            f'<rect class="count" x="{SIDE * part.low:.1f}" y="{base - height:.1f}" '
            f'width="{SIDE * (part.high - part.low):.1f}" height="{height:.1f}"/>'
        )
        parts.append(_text(_short(part.answers), middle, base - height - 4))
    parts.append(f'<line class="axis" x1="0" y1="{base}" x2="{SIDE}" y2="{base}"/>')
    return parts


def _short(number: int) -> str:
    """A number that is narrow enough for a bar: 9,999, 12k, 1.0M."""
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

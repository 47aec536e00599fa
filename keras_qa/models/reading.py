"""How an encoder reads windows: how many at a time, and how wide."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from keras_qa.text.padding import rounded

# Positions that a CPU reads at a time: what lies between two dense layers then stays in its cache.
POSITIONS = 1536

# A program costs as much as reading so many positions, for an encoder of six layers.
POSITIONS_OF_A_PROGRAM = 5_000


def rows_at_a_time(width: int) -> int:
    """How many rows of a width a CPU reads at a time: a power of two."""
    rows: int = 2 ** (max(1, POSITIONS // width).bit_length() - 1)
    return rows


class ProgramWidths:
    """The widths that batches are filled up to, where a program is made for each.

    There are two steps to each doubling at first. A width of the finer ladder that `rounded` gives
    gets a program once it would have saved as many positions of padding as a program costs.
    """

    def __init__(self) -> None:
        self.known: set[int] = set()
        self.saved: defaultdict[int, int] = defaultdict(int)

    def __call__(self, width: int, rows: int, most: int) -> int:
        """The width for a batch.

        Args:
            width: How wide it is.
            rows: How many rows it has.
            most: The most that the model takes.

        Returns:
            At least `width`, at most `most`.
        """
        fine, coarse = (min(step, most) for step in (rounded(width), _coarse(width)))
        found = min((known for known in self.known if fine <= known <= coarse), default=coarse)
        narrower = list(_ladder(fine, found))
        for step in narrower:
            self.saved[step] += (found - step) * rows
        best = max(narrower, key=self.saved.__getitem__, default=found)
        if self.saved[best] > POSITIONS_OF_A_PROGRAM:
            # Beside it, the others save less than they would have.
            below = max((known for known in self.known if known < best), default=0)
            for step in _ladder(rounded(below + 1), found):
                self.saved.pop(step, None)
            found = best
        self.known.add(found)
        return found


def _ladder(first: int, end: int) -> Iterator[int]:
    """The steps of the finer ladder from one on, those below `end`."""
    while first < end:
        yield first
        first = rounded(first + 1)


def _coarse(width: int) -> int:
    power: int = 2 ** max(5, (width - 1).bit_length())
    return power if width > power * 3 // 4 else power * 3 // 4

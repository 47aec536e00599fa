"""How an encoder reads windows: how many at a time, and how wide."""

from __future__ import annotations

from collections import defaultdict

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
    has a program of its own once as many positions of padding were read without it as a program
    costs.
    """

    def __init__(self) -> None:
        self.known: set[int] = set()
        self.lost: defaultdict[int, int] = defaultdict(int)

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
        self.lost[fine] += (found - fine) * rows
        if self.lost[fine] > POSITIONS_OF_A_PROGRAM:
            found = fine
        self.known.add(found)
        return found


def _coarse(width: int) -> int:
    power: int = 2 ** max(5, (width - 1).bit_length())
    return power if width > power * 3 // 4 else power * 3 // 4

"""How windows of all lengths are put together for an encoder."""

import numpy as np
import pytest
from small_checkpoints import FOLDER

from keras_qa import execution
from keras_qa.models import span_reader
from keras_qa.models.reading import ProgramWidths, rows_at_a_time


@pytest.mark.parametrize(
    ("width", "rows"), [(1, 1024), (96, 16), (97, 8), (192, 8), (193, 4), (1536, 1), (4000, 1)]
)
def test_a_cpu_reads_so_many_positions_at_a_time(width: int, rows: int) -> None:
    assert rows_at_a_time(width) == rows


def test_widths_have_two_steps_to_a_doubling_until_padding_costs_more_than_a_program() -> None:
    widths = ProgramWidths()
    assert [widths(width, 8, 512) for width in (130, 100, 97, 200, 300, 20)] == [
        192,
        128,
        128,
        256,
        384,
        24,
    ]
    # 150 is filled up to 160 on the finer ladder: 8 rows lose 8 * 32 positions each time, as the 8
    # of 130 would have done.
    times = 1
    while widths(150, 8, 512) == 192:
        times += 1
    assert times == 5000 // (8 * 32)
    assert widths(150, 8, 512) == 160
    # What is there is taken by what it fits.
    assert widths(145, 8, 512) == 160
    assert widths(130, 8, 512) == 160
    assert widths(161, 8, 512) == 192


def test_a_width_pays_for_all_that_it_would_save() -> None:
    widths = ProgramWidths()
    lengths = [131, 159, 146, 175]
    times = 0
    while widths(lengths[times % 4], 1, 512) == 192:
        times += 1
    # Of each four, 160 would save three times 32 positions, 176 four times 16, 144 once 48.
    assert widths(131, 1, 512) == widths(159, 1, 512) == 160
    assert widths(175, 1, 512) == 192
    assert times * 3 * 32 / 4 == pytest.approx(5000, abs=3 * 32)
    # From here on 144 saves 16 each time, whatever it would have saved before.
    times = 0
    while widths(131, 1, 512) == 160:
        times += 1
    assert times == 5000 // 16 - 1
    assert widths(140, 1, 512) == 144
    assert widths(175, 1, 512) == 192


def test_widths_end_with_what_the_model_takes() -> None:
    widths = ProgramWidths()
    assert widths(390, 1, 400) == 400
    assert widths(400, 1, 400) == 400


def test_rows_of_like_length_come_together() -> None:
    reader = span_reader(backbone=FOLDER / "bert")
    lengths = np.array([40, 7, 40, 64, 9, 33])
    sizes = np.stack([lengths, lengths // 2, lengths], axis=1)
    found = [(rows.tolist(), widths) for rows, widths in reader.reading_batches(sizes, 2, 64)]
    if execution.COMPILES_PRODUCTS:
        assert found == [([1, 4], [24] * 3), ([5, 0], [48] * 3), ([2, 3], [64] * 3)]
    else:
        assert found == [([1, 4], [9, 4, 9]), ([5, 0], [40, 20, 40]), ([2, 3], [64, 32, 64])]

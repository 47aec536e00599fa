"""`python -m benchmarks.arithmetic` prints the tables of `docs/scaling-arithmetic.md`.

Each formula is a function. Sizes are in bytes, times in seconds.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib

RECORD = pathlib.Path(__file__).parent / "results" / "many_passages.json"

# Bytes of a float32 number: weights, gradients, and each slot of an optimizer.
FLOAT = 4
# Variables of an optimizer for each weight.
SLOTS = {"sgd": 0, "momentum": 1, "adam": 2}
# CPU time of one core of an AMD EPYC beside other work, so rough: to verify a passage and a vector
# of 384 numbers when an index is opened, and to read and compare such a vector in a search.
VERIFY_PASSAGE, VERIFY_VECTOR, COMPARE_VECTOR = 2.9e-6, 1.9e-6, 2.9e-6
# Texts of 160 words that one core embeds in a second with MiniLM, as rough.
EMBEDDED = 20
# Bytes a second of links, in one direction.
LINKS = {"10 Gbit/s": 1.25e9, "100 Gbit/s": 12.5e9, "PCIe 4.0 x16": 25e9, "NVLink": 300e9}
# Assumed operations that a device computes in a second: half of what an A100 can in TF32.
OPERATIONS = 78e12


@dataclasses.dataclass(frozen=True)
class Encoder:
    """The sizes of a BERT without its pooler."""

    layers: int
    hidden: int
    intermediate: int
    heads: int
    vocabulary: int = 30_522
    positions: int = 512
    segments: int = 2


ENCODERS = {
    "MiniLM, 6 layers": Encoder(6, 384, 1_536, 12),
    "BERT base": Encoder(12, 768, 3_072, 12),
    "BERT large": Encoder(24, 1_024, 4_096, 16),
}


def matrix_parameters(encoder: Encoder) -> int:
    """Weights of the matrix products: four of attention and two of the feed-forward block."""
    h, i = encoder.hidden, encoder.intermediate
    return encoder.layers * (4 * h * h + 2 * h * i)


def parameters(encoder: Encoder) -> int:
    """All weights: embeddings, matrices, biases and normalizations."""
    h, i = encoder.hidden, encoder.intermediate
    embeddings = (encoder.vocabulary + encoder.positions + encoder.segments) * h + 2 * h
    vectors = encoder.layers * (4 * h + i + h + 4 * h)
    return embeddings + matrix_parameters(encoder) + vectors


def weight_bytes(encoder: Encoder, optimizer: str = "adam") -> int:
    """Weights, gradients and optimizer state of training in float32."""
    return (2 + SLOTS[optimizer]) * FLOAT * parameters(encoder)


def activation_bytes(encoder: Encoder, rows: int, width: int) -> int:
    """Activations that the backward pass needs, in float32, after arXiv:2205.05198.

    A position of a layer keeps eight vectors of the hidden size, two of the intermediate size, and
    two masks of dropout. Each head keeps two numbers and a mask for each pair of positions, unless
    a fused kernel computes them again.
    """
    h, i = encoder.hidden, encoder.intermediate
    position = FLOAT * (8 * h + 2 * i) + 2 * h + encoder.heads * width * (2 * FLOAT + 1)
    return encoder.layers * rows * width * position


def step_operations(encoder: Encoder, rows: int, width: int) -> int:
    """Operations of a step: the forward pass, and the backward pass of twice as many."""
    products = 2 * matrix_parameters(encoder) * width
    attention = 4 * encoder.layers * encoder.hidden * width**2
    return 3 * rows * (products + attention)


def all_reduce_bytes(encoder: Encoder, devices: int) -> float:
    """Bytes that each device sends in a step to sum the gradients over a ring of devices."""
    return 2 * (devices - 1) / devices * FLOAT * parameters(encoder)


def least_rows(
    encoder: Encoder, devices: int, width: int, bandwidth: float, operations: float = OPERATIONS
) -> float:
    """Rows of a device at which a step computes as long as the link sends. With fewer it waits."""
    sending = all_reduce_bytes(encoder, devices) / bandwidth
    return sending * operations / step_operations(encoder, 1, width)


@dataclasses.dataclass(frozen=True)
class IndexPlan:
    """Sizes and times of an index of passages, with vectors of `dimension` numbers."""

    passages: int
    dimension: int = 384

    def words_bytes(self) -> float:
        """The file without vectors, by the bytes a passage of the measured index."""
        record = _record()
        return self.passages * record["file_bytes"] / record["passages"]

    def vectors_bytes(self, number: int) -> int:
        """The vectors alone: `number` is 4 for float32, 2 for float16, 1 for int8."""
        return number * self.dimension * self.passages

    def indexing_seconds(self) -> float:
        """Writing without vectors, by the measured rate."""
        return self.passages / _record()["passages_per_second"]

    def embedding_seconds(self, cores: int = 1) -> float:
        """Embedding the passages."""
        return self.passages / (EMBEDDED * cores)

    def opening_seconds(self) -> float:
        """Verifying words and vectors before the first search."""
        share = self.dimension / 384
        return self.passages * (VERIFY_PASSAGE + share * VERIFY_VECTOR)

    def search_seconds(self) -> float:
        """Comparing a question with all vectors, if they are not in memory."""
        return self.passages * self.dimension / 384 * COMPARE_VECTOR


def _record() -> dict[str, float]:
    records = json.loads(RECORD.read_text(encoding="utf-8"))
    return [record for record in records if not record.get("vectors")][-1]


def memory_table(rows: int = 32, width: int = 384) -> str:
    """Memory of a device in GB."""
    head = ["encoder", "weights", "with SGD", "with Adam", "activations", "Adam, all"]
    lines = []
    for name, encoder in ENCODERS.items():
        acts, adam = activation_bytes(encoder, rows, width), weight_bytes(encoder)
        sizes = (FLOAT * parameters(encoder), weight_bytes(encoder, "sgd"), adam, acts, adam + acts)
        lines.append([name, *(f"{size / 1e9:.2f}" for size in sizes)])
    return _table(head, lines)


def link_table(devices: int = 8, width: int = 384) -> str:
    """Bytes of a step, and the least rows of a device for each link."""
    lines = []
    for name, encoder in ENCODERS.items():
        sent = [f"{all_reduce_bytes(encoder, n) / 1e6:,.0f} MB" for n in (2, devices)]
        rows = [least_rows(encoder, devices, width, link) for link in LINKS.values()]
        lines.append([name, *sent, *(f"{count:,.1f}" for count in rows)])
    return _table(["encoder", "2 devices", f"{devices} devices", *LINKS], lines)


def index_table(cores: int = 16) -> str:
    """Plans of three indexes."""
    plans = [IndexPlan(millions * 1_000_000) for millions in (2, 10, 100)]
    rows = {
        "file with words, GB": [plan.words_bytes() / 1e9 for plan in plans],
        "vectors in float32, GB": [plan.vectors_bytes(4) / 1e9 for plan in plans],
        "vectors in float16, as the index has them, GB": [p.vectors_bytes(2) / 1e9 for p in plans],
        "vectors in int8, GB": [plan.vectors_bytes(1) / 1e9 for plan in plans],
        "writing, hours": [plan.indexing_seconds() / 3600 for plan in plans],
        f"embedding on {cores} cores, hours": [p.embedding_seconds(cores) / 3600 for p in plans],
        "opening, seconds": [plan.opening_seconds() for plan in plans],
        "a question by vectors, seconds": [plan.search_seconds() for plan in plans],
    }
    head = ["passages", *(f"{plan.passages // 1_000_000} million" for plan in plans)]
    return _table(head, [[name, *(f"{n:,.1f}" for n in row)] for name, row in rows.items()])


def _table(head: list[str], rows: list[list[str]]) -> str:
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, rule, *rows])


def main() -> None:
    for table in (memory_table(), link_table(), index_table()):
        print(f"{table}\n")


if __name__ == "__main__":
    main()

"""Makes an adapter of the last epoch in a training checkpoint, whatever epoch was the best.

python -m benchmarks.last_epoch CHECKPOINT ADAPTER RANK VALIDATION.json...

The checkpoint is one of `keras-qa train --model span_reader --backbone minilm --lora-rank RANK`.
The temperature, the longest answer and the threshold of no answer are fitted to the validation
files; `FILE:4` takes every fourth question of a file.
"""

import sys

from keras_qa import QuestionAnswerer, models
from keras_qa.datasets import squad
from keras_qa.recipes.checkpoints import TrainingCheckpoint


def main(checkpoint: str, adapter: str, rank: str, *validation: str) -> None:
    """Writes the file `adapter`."""
    reader = models.span_reader(backbone="minilm", lora_rank=int(rank))
    found = TrainingCheckpoint.load(checkpoint)
    # The state goes on with the variables of the optimizer.
    for variable, value in zip(reader.variables, found.state, strict=False):
        variable.assign(value)
    examples = []
    for one in validation:
        path, _, step = one.partition(":")
        examples += squad.load(path)[:: int(step or 1)]
    # No weight is trained. The reader may find no answer if an example has none.
    qa = QuestionAnswerer(reader).fit(examples, validation_data=examples, epochs=0, verbose=0)
    qa.save_adapter(adapter)
    print(f"{found.epochs} epochs; {qa.model_.preprocessor.decoder}")


if __name__ == "__main__":
    main(*sys.argv[1:])

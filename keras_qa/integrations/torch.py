"""Training in several processes of PyTorch."""

from __future__ import annotations

import atexit
import contextlib
import os

from keras_qa.integrations.answer_metadata import missing_package

try:
    import torch
    import torch.distributed as dist
except ImportError as error:
    raise missing_package("torch", "torch", error) from None

from keras_qa.engine.torch_processes import divide_batches


def distribute() -> contextlib.ExitStack:
    """Divides each batch of `fit` among processes, which all call it and the same `fit`.

    The processes are those of `torchrun`, or of the process group that exists, such as that of Ray
    Train. Each needs the same data. In `fit` of `QAModel`, `QuestionAnswerer.fit` and
    `recipes.train`, each process computes its rows of a batch. The loss and the metrics are those
    of all rows, and the gradients are summed, so that all processes have the weights of a training
    in one process. The first process alone prints progress and writes files.

    Layers that compute with other rows of a batch, such as `BatchNormalization`, have the rows of
    their process.

    Returns:
        A context manager. At the end of its block, if there is one, `fit` trains in one process
        again.

    Raises:
        ValueError: If Keras uses another backend, or there are no processes to train with; in
            `fit`, if the processes have different batches.
        ConnectionError: If another process has ended.

    Examples:
        ```python
        # torchrun --nproc-per-node 2 train.py
        from keras_qa import datasets, recipes
        from keras_qa.integrations.torch import distribute

        stories = datasets.babi.simulate(task=1, examples=1_000)
        with distribute():
            recipes.train(stories, out="qa.keras")
        ```
    """
    with contextlib.ExitStack() as stack:
        if not dist.is_initialized():
            if "RANK" not in os.environ:
                raise ValueError(
                    "`distribute` needs several processes. Start the script by "
                    "`torchrun --nproc-per-node 2 script.py`, or call "
                    "`torch.distributed.init_process_group` before."
                )
            if torch.cuda.is_available():
                torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
            dist.init_process_group()
            stack.callback(_end_group)
            # Without a block: gloo can abort a process that ends with a group.
            atexit.register(_end_group)
        stack.enter_context(divide_batches())
        return stack.pop_all()


def _end_group() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()

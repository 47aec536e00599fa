"""MCTest: children's stories with multiple-choice questions."""

from __future__ import annotations

from pathlib import Path

from keras_qa._arguments import check_choice
from keras_qa.example import Example

VARIANTS = ("mc160", "mc500")
SPLITS = {"train": "train", "valid": "dev", "test": "test"}
LETTERS = ("A", "B", "C", "D")
KINDS = ("one", "multiple")

# Id, properties, story, and four times a question with four answers.
_CELLS = 3 + 4 * 5


def load(path: str | Path, variant: str = "mc500", split: str = "train") -> list[Example]:
    """Reads MCTest: each question becomes an example with four choices.

    Args:
        path: A folder with the original files, such as `mc500.train.tsv` and `mc500.train.ans`; or
            one `.tsv` file. MCTest cannot be downloaded automatically: its licence is for research
            only.
        variant: `"mc160"` or `"mc500"`. Ignored if `path` is a file.
        split: `"train"`, `"valid"` (MCTest's `dev`) or `"test"`. Ignored if `path` is a file.

    Returns:
        A list of `Example` objects with `choices` and, if the `.ans` file exists, the right choice
        in `answers`. The `id` holds the story, the number of the question, and whether the answer
        needs one sentence or several, such as `"mc500.train.12.0.multiple"`.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If an argument is out of range or a line is malformed.

    Reference:
        Richardson, Burges and Renshaw 2013, "MCTest: A Challenge Dataset for the Open-Domain
        Machine Comprehension of Text", EMNLP, aclanthology D13-1020.

    Examples:
        ```python
        train = keras_qa.datasets.mctest.load("MCTest", variant="mc500", split="train")
        ```
    """
    check_choice("variant", variant, VARIANTS)
    check_choice("split", split, SPLITS)
    file = Path(path).expanduser()
    if file.is_dir():
        file = file / f"{variant}.{SPLITS[split]}.tsv"
    if not file.is_file():
        raise FileNotFoundError(
            f"`path` must be a folder with `{variant}.{SPLITS[split]}.tsv`, or such a file. "
            f"Received: path={str(path)!r}."
        )
    stories = _lines(file)
    answers_file = file.with_suffix(".ans")
    answers = _lines(answers_file) if answers_file.is_file() else None
    if answers is not None and len(answers) != len(stories):
        raise ValueError(
            f"`{answers_file}` has {len(answers)} lines, but `{file.name}` has {len(stories)}: "
            "expected the answers of one story a line."
        )
    examples = []
    for at, line in enumerate(stories):
        cells = [cell.strip() for cell in line.split("\t")]
        if len(cells) != _CELLS:
            raise ValueError(
                f"`{file}`, line {at + 1}: expected {_CELLS} cells between tabs: id, properties, "
                f"story, and four questions with four answers. Received {len(cells)}."
            )
        letters = None
        if answers is not None:
            letters = answers[at].split("\t")
            if len(letters) != 4 or any(letter not in LETTERS for letter in letters):
                raise ValueError(
                    f"`{answers_file}`, line {at + 1}: expected four letters from A to D between "
                    f"tabs. Received: {answers[at][:80]!r}."
                )
        story = cells[2].replace("\\newline", "\n").replace("\\tab", "\t")
        for number in range(4):
            prompt, *choices = cells[3 + 5 * number : 8 + 5 * number]
            kind, colon, question = prompt.partition(":")
            if not colon or kind not in KINDS:
                raise ValueError(
                    f"`{file}`, line {at + 1}: expected a question after `one:` or `multiple:`. "
                    f"Received: {prompt[:80]!r}."
                )
            right = (choices[LETTERS.index(letters[number])],) if letters else ()
            examples.append(
                Example(
                    story,
                    question.strip(),
                    right,
                    choices=tuple(choices),
                    id=f"{cells[0]}.{number}.{kind}",
                )
            )
    return examples


def _lines(file: Path) -> list[str]:
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"`{file}` must be UTF-8: {error}.") from None
    # `splitlines` would also split at other line breaks of Unicode, which stories may hold.
    return [line.removesuffix("\r") for line in text.split("\n") if line.strip()]

"""The questions about real documentation that readers and scores learn from."""

from __future__ import annotations

import pathlib
import tempfile

from keras_qa import datasets, recipes
from keras_qa.answering.index_examples import IndexExamples
from keras_qa.documents import Index
from keras_qa.example import Example

# Projects of other test data, or copies of them.
LEFT_OUT = ("18f-handbook", "carpentries-handbook", "civicactions-handbook")
# Projects on which settings are chosen. No weights learn from them.
CHOOSING = (
    *("helm", "pip", "syncthing", "site-policy", "biology-book"),
    *("audacity", "standard-agreements", "opentrons", "dnd-srd", "nasa-tops"),
)
# Passages that do not answer, for each question.
NEGATIVES = 3


def training_projects(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns the folders of the projects that weights may learn from."""
    names = {*LEFT_OUT, *CHOOSING}
    return [path for path in sorted(folder.iterdir()) if path.is_dir() and path.name not in names]


def project_examples(project: pathlib.Path, negatives: int = NEGATIVES) -> IndexExamples:
    """Returns the questions of a project with passages of an index of its documents."""
    questions = datasets.tables.load_questions(project / "questions.jsonl")
    with (
        tempfile.TemporaryDirectory() as folder,
        Index.create(pathlib.Path(folder, "a.index")) as index,
    ):
        index.update(project / "docs", verbose=0)
        return recipes.examples_from_index(index, questions, negatives)


def all_examples(projects: list[pathlib.Path], negatives: int = NEGATIVES) -> list[Example]:
    """Returns the examples of several projects, and prints how many questions have a passage."""
    examples = []
    for project in projects:
        result = project_examples(project, negatives)
        print(f"{project.name}: {result.summary()}", flush=True)
        examples += result.examples
    return examples

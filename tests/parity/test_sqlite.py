"""An index is made and searched also where TensorFlow, with an SQLite of its own, came first."""

from interpreters import python

CODE = """
import tensorflow, keras, keras_qa, sys
with keras_qa.documents.Index.create(sys.argv[1], language="en") as index:
    index.add([{"name": "a.txt", "text": "The warranty is two years."}])
    print([hit.document for hit in index.search("Which warranties?")])
"""


def test_an_index_is_searched_after_tensorflow_was_imported(tmp_path) -> None:
    done = python(CODE, str(tmp_path / "a.index"), KERAS_BACKEND="tensorflow")
    assert done.stdout == "['a.txt']\n", done.stderr

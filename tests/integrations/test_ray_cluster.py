"""Files of questions on a Ray cluster of two local nodes, one of which is lost and replaced."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import ray
from ray.cluster_utils import Cluster
from small_examples import read_lines
from test_ray import EXAMPLES, READER, ROWS

import keras_qa
from keras_qa.answering.answer_parts import PartWriter
from keras_qa.integrations import ray as module
from keras_qa.integrations.ray import answer_files

# Ray's own.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")

NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}


@pytest.fixture
def cluster():
    options = {**NODE, "include_dashboard": False}
    nodes = Cluster(initialize_head=True, connect=True, head_node_args=options)
    yield nodes
    ray.shutdown()
    nodes.shutdown()


def test_both_nodes_answer_and_a_lost_one_is_replaced(cluster, tmp_path, monkeypatch) -> None:
    node = cluster.add_node(**NODE)
    cluster.wait_for_nodes()
    second = node.node_id

    class Reporting(PartWriter):
        def write(self, part):
            own = ray.get_runtime_context().get_node_id()
            if own == second and (tmp_path / own).exists():
                # Until this node is lost.
                time.sleep(600)
            (tmp_path / own).touch()
            return super().write(part)

    monkeypatch.setattr(module, "PartWriter", Reporting)
    path, out = tmp_path / "a.jsonl", tmp_path / "out"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    # Nodes are added by the main thread.
    with ThreadPoolExecutor(1) as thread:
        done = thread.submit(answer_files, READER, str(path), out, workers=2, size=3, verbose=0)
        while not (tmp_path / second).exists():
            time.sleep(0.05)
        cluster.remove_node(node, allow_graceful=False)
        cluster.add_node(**NODE)
        assert done.result() == (60, 0)
    nodes = {item.name for item in tmp_path.iterdir()} - {"a.jsonl", "out"}
    assert second in nodes
    assert len(nodes) >= 2
    lines = [line for part in sorted(out.glob("a-*")) for line in read_lines(part)]
    assert [line["id"] for line in lines] == [row["id"] for row in ROWS]
    answers = keras_qa.load(READER).answer(EXAMPLES)
    assert [line["answer"] for line in lines] == [answer.text for answer in answers]

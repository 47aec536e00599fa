"""Files with a changed config: each loads, or raises an error of one line."""

import collections
import copy
import json
import random
import zipfile

import pytest
import small_checkpoints
from small_examples import EXAMPLES, SPANS

import keras_qa

DELETED = object()


def chain(depth: int):
    value: object = "x"
    for _ in range(depth):
        value = {"a": value}
    return value


VALUES = [
    *(None, True, -1, 0, 10**9, 10**30, -2.5, float("inf"), float("nan"), "", "x"),
    *([], {}, [1], [None], ["x"] * 3, {"name": 1}, [[[[[[1]]]]]], chain(40), chain(300), DELETED),
]


def words() -> keras_qa.QuestionAnswerer:
    options = {"text_embedding_dim": 2, "text_units": 2}
    return keras_qa.QuestionAnswerer(model_options=options, seed=0).fit(
        EXAMPLES, epochs=1, verbose=0
    )


def spans() -> keras_qa.QuestionAnswerer:
    options = {"units": 4, "embedding_dim": 6}
    return keras_qa.QuestionAnswerer("span_reader", options, seed=0).fit(SPANS, epochs=1, verbose=0)


def encoder(folder) -> keras_qa.QuestionAnswerer:
    reader = keras_qa.load(small_checkpoints.copy("bert", folder / "bert"))
    return reader.fit(SPANS, epochs=1, lora_rank=2, verbose=0)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    made = {"words": words(), "spans": spans(), "encoder": encoder(folder)}
    for kind, qa in made.items():
        qa.save(folder / f"{kind}.keras")
    made["encoder"].save_adapter(folder / "adapter.keras")
    return folder


def places(value, before=()):
    """The path of every entry of a config, those that hold others included."""
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in entries:
        yield (*before, key)
        if isinstance(inner, (dict, list)):
            yield from places(inner, (*before, key))


def change(root, rng: random.Random, part: str) -> None:
    found = list(places(root))
    if part == "tokenizer":
        # Most of its entries are words of the vocabulary.
        groups = collections.defaultdict(list)
        for path in found:
            groups[path[0]].append(path)
        found = groups[rng.choice(list(groups))]
    *outer, last = rng.choice(found)
    for key in outer:
        root = root[key]
    value = rng.choice(VALUES)
    if value is DELETED:
        del root[last]
    else:
        root[last] = value


def changed(config, rng: random.Random):
    config = copy.deepcopy(config)
    # An adapter has its settings at the top.
    settings = config.get("config", config)
    part = rng.choice(["preprocessor", "tokenizer", "layers", "all"])
    if part == "tokenizer":
        home, key = settings["preprocessor"]["vectorizer"], "tokenizer"
        if isinstance(home[key], dict):
            home, key = home[key], "json"
        tokenizer = json.loads(home[key])
        change(tokenizer, rng, part)
        home[key] = json.dumps(tokenizer)
    else:
        change(settings.get(part, config), rng, part)
    return config


def read(path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(path, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["words", "spans", "encoder", "adapter"])
def test_a_changed_config_loads_or_raises(files, kind: str) -> None:
    members = read(files / f"{kind}.keras")
    config = json.loads(members["config.json"])
    # An adapter finds its encoder next to it.
    path = files / "changed.keras"
    refused = 0
    for seed in range(15):
        content = json.dumps(changed(config, random.Random(f"{kind} {seed}"))).encode()
        write(path, {**members, "config.json": content})
        try:
            keras_qa.load(path)
        except (TypeError, ValueError) as error:
            message = str(error)
            assert message.startswith(f"`{str(path)[-100:]}` "), (seed, message)
            assert len(message.splitlines()) == 1, (seed, message)
            assert len(message) <= 300, (seed, message)
            refused += 1
    assert 5 < refused < 15


def test_a_rank_beyond_the_weights_raises_before_allocation(files, tmp_path) -> None:
    members, path = read(files / "encoder.keras"), tmp_path / "rank.keras"
    # The second rank is smaller than the file: its matrices are not.
    for rank, message in (
        (10**9, "has `lora_rank=1000000000` in its config, but only"),
        (60_000, "its layers"),
    ):
        config = members["config.json"].replace(b'"lora_rank": 2', b'"lora_rank": %d' % rank)
        assert config != members["config.json"]
        write(path, {**members, "config.json": config})
        with pytest.raises(ValueError, match=f"^`{path}` .*{message}"):
            keras_qa.load(path)

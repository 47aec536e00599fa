"""The families of published encoders, by the `model_type` of their `config.json`."""

from __future__ import annotations

import dataclasses

from keras_qa.models.pretrained.albert import ALBERT
from keras_qa.models.pretrained.bert import BERT, ELECTRA, ROBERTA
from keras_qa.models.pretrained.deberta import DEBERTA
from keras_qa.models.pretrained.distilbert import DISTILBERT
from keras_qa.models.pretrained.family import Family
from keras_qa.models.pretrained.modernbert import MODERNBERT
from keras_qa.models.pretrained.mpnet import MPNET

FAMILIES: dict[str, Family] = {
    "albert": ALBERT,
    "bert": BERT,
    "camembert": dataclasses.replace(ROBERTA, architecture="Camembert"),
    "deberta-v2": DEBERTA,
    "distilbert": DISTILBERT,
    "electra": ELECTRA,
    "modernbert": MODERNBERT,
    "mpnet": MPNET,
    "roberta": ROBERTA,
    "xlm-roberta": dataclasses.replace(ROBERTA, architecture="XLMRoberta"),
}

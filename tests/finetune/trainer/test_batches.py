from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from services.finetune.tokens import TextTokenizer
from services.finetune.trainer.batches import Batches
from services.finetune.trainer.examples import ExampleMaker
from tests.finetune.datasets import dataset_files
from tests.inference.tiny_tokenizer import write_tokenizer


@pytest.fixture(scope="module")
def batches(tmp_path_factory: pytest.TempPathFactory) -> Batches:
    folder = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(folder)
    tokenizer = TextTokenizer(folder)
    maker = ExampleMaker(tokenizer, 128, 0.5)
    return Batches(maker, dataset_files(range(4)), 128, tokenizer.end_id, seed=5)


def test_a_resumed_run_sees_what_an_uninterrupted_one_sees(batches: Batches) -> None:
    whole = list(islice(batches.after(0, 3), 25))
    rest = list(islice(batches.after(11, 3), 14))
    for one, other in zip(whole[11:], rest, strict=True):
        assert one.num_epochs == other.num_epochs
        for first, second in zip(one.sequences, other.sequences, strict=True):
            assert np.array_equal(first.ids, second.ids)


def test_epochs_differ(batches: Batches) -> None:
    first, second = ([s.ids.tolist() for s in batches.epoch(n)] for n in (0, 1))
    assert first != second

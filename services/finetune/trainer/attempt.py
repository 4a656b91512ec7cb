"""An attempt from its order to its last word."""

from __future__ import annotations

import errno
import logging
import os
import random
from collections.abc import Callable
from pathlib import Path

import msgspec
import torch

from services.cluster.errors import HearthError
from services.finetune.files import read_files
from services.finetune.tokens import TextTokenizer
from services.finetune.trainer import packing
from services.finetune.trainer.batches import Batches
from services.finetune.trainer.examples import ExampleMaker
from services.finetune.trainer.messages import (
    Ended,
    Failed,
    Said,
    Started,
    TrainerMessage,
    TrainingOrder,
    encode,
)
from services.finetune.trainer.model import TrainedModel
from services.finetune.trainer.training import NotFinite, Training

log = logging.getLogger(__name__)

FAILED = 2  # exit status of an attempt that another one would only repeat
_OUT_OF_MEMORY = (
    "The device has too little memory for this training; set low_gpu_mem_mode, or make"
    " context_tokens or lora_r smaller."
)
_POLITE = 10  # serving on the same processors goes first


def run_attempt(place: Path, output: int, stop: Callable[[], bool]) -> int:
    """The exit status. Messages go to the descriptor `output`."""

    def tell(message: TrainerMessage) -> None:
        data = encode(message)
        while data:
            data = data[os.write(output, data) :]

    order = msgspec.json.decode(place.read_bytes(), type=TrainingOrder)
    try:
        tell(_train(order, tell, stop))
    except HearthError as error:
        tell(Failed(reason=error.message))
        return FAILED
    except torch.OutOfMemoryError:
        tell(Failed(reason=_OUT_OF_MEMORY))
        return FAILED
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        tell(Failed(reason="The data volume is full; free some space, then create the run again."))
        return FAILED
    except (NotFinite, ValueError) as error:  # peft and transformers refuse what they cannot do
        log.exception("training failed")
        tell(Failed(reason=str(error)))
        return FAILED
    return 0


def _train(
    order: TrainingOrder, tell: Callable[[TrainerMessage], None], stop: Callable[[], bool]
) -> Ended:
    if order.device_kind == "cpu":
        os.nice(_POLITE)
        torch.set_num_threads(order.num_threads)
    torch.manual_seed(order.seed)
    tokenizer = TextTokenizer(Path(order.model_folder))
    maker = ExampleMaker(tokenizer, order.context_tokens, order.fim_share)
    train = read_files(Path(order.train_file))
    batches = Batches(maker, train, order.context_tokens, tokenizer.end_id, order.seed)
    test = _test_sequences(order, maker, tokenizer.end_id)
    if not test:
        tell(Said(level="warning", text="There is no test file: the last checkpoint is the best."))
    model = TrainedModel(order, order.model_folder)
    training = Training(order, model, batches.after, test, tell, stop)
    step = training.resume(Path(order.resume_folder)) if order.resume_folder else 0
    num_trainable = sum(parameter.numel() for parameter in model.trainable.values())
    tell(Started(step=step, num_test_sequences=len(test), num_trainable=num_trainable))
    return training.run()


def _test_sequences(
    order: TrainingOrder, maker: ExampleMaker, pad_id: int
) -> list[packing.Sequence]:
    """The same cuts at every step and in every attempt."""
    rng = random.Random(f"{order.seed}/test")
    examples = maker.examples(read_files(Path(order.test_file)), rng)
    sequences = packing.pack(examples, order.context_tokens, pad_id)
    return [sequence for sequence in sequences if sequence.num_tokens]

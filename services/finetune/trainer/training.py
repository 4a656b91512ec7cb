"""The training loop: steps, test losses, checkpoints, and the reasons to end."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from services.finetune.trainer import checkpoint, packing
from services.finetune.trainer.batches import Batch
from services.finetune.trainer.checkpoint import TrainingState
from services.finetune.trainer.messages import (
    CheckpointWritten,
    Ended,
    StepDone,
    TrainerMessage,
    TrainingOrder,
)
from services.finetune.trainer.model import TrainedModel
from services.finetune.trainer.rates import learning_rate

_BETAS = (0.9, 0.95)
_MAX_GRADIENT_NORM = 1.0
_NUM_TIMED_STEPS = 10
_LEAST_PATIENCE = 2  # measured test losses that have not fallen


class NotFinite(ArithmeticError):
    """A loss or the gradient norm is no number any more."""


class Training:
    """`tell` gets every message; `stop` says whether to end after the step that runs."""

    def __init__(
        self,
        order: TrainingOrder,
        model: TrainedModel,
        batches: Callable[[int, int], Iterator[Batch]],
        test: list[packing.Sequence],
        tell: Callable[[TrainerMessage], None],
        stop: Callable[[], bool],
    ) -> None:
        self._order = order
        self._model = model
        self._batches = batches
        self._test = test
        self._tell = tell
        self._stop = stop
        self._optimizer = torch.optim.AdamW(
            list(model.trainable.values()), betas=_BETAS, weight_decay=order.weight_decay
        )
        self._state = TrainingState()
        self._timed: deque[tuple[int, float]] = deque(maxlen=_NUM_TIMED_STEPS)
        self._saved_step = 0

    def resume(self, folder: Path) -> int:
        """The step that the checkpoint was written after."""
        self._state = checkpoint.load(folder, self._model, self._optimizer)
        self._saved_step = self._state.step
        return self._state.step

    def run(self) -> Ended:
        """Trains to the end. Raises NotFinite."""
        order, state = self._order, self._state
        message: StepDone | None = None
        reason = "" if state.step < order.train_steps else "All steps are done."
        if not reason:
            for batch in self._batches(state.step, order.batch_size):
                message = self._step(batch)
                self._tell(message)
                if state.step % order.measure_every_steps == 0:
                    self._checkpoint(message)
                if reason := self._reason_to_end(message):
                    break
            else:
                reason = "The dataset holds nothing to train on."
        if message is not None and state.step != self._saved_step:
            self._checkpoint(message)
        return Ended(step=state.step, stopped=self._stopped, reason=reason)

    @property
    def _stopped(self) -> bool:
        return self._stop() and self._state.step < self._order.train_steps

    def _reason_to_end(self, message: StepDone) -> str:
        order, state = self._order, self._state
        if state.step >= order.train_steps:
            return "All steps are done."
        if self._stop():
            return "It was told to stop."
        if self._stagnates(message):
            return f"The test loss has not fallen since step {state.best_step}."
        if order.time_limit_seconds and state.trained_seconds >= order.time_limit_seconds:
            return "The time limit is reached."
        return ""

    def _stagnates(self, message: StepDone) -> bool:
        """Only a measured step can say so, and never the first after the best one."""
        order = self._order
        if message.test_loss is None or not order.early_stop_share:
            return False
        patience = max(
            order.early_stop_share * order.train_steps, _LEAST_PATIENCE * order.measure_every_steps
        )
        return self._state.step - self._state.best_step >= patience

    def _step(self, batch: Batch) -> StepDone:
        started, order, state = time.monotonic(), self._order, self._state
        rate = learning_rate(order, state.step + 1)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        loss, norm = self._learn(batch)
        num_tokens = sum(sequence.num_tokens for sequence in batch.sequences)
        state.step += 1
        state.num_tokens += num_tokens
        self._timed.append((num_tokens, time.monotonic() - started))
        peak_bytes = self._model.peak_bytes()
        test_loss = self._measure_when_due()
        state.trained_seconds += time.monotonic() - started
        return StepDone(
            step=state.step,
            train_loss=loss,
            test_loss=test_loss,
            learning_rate=rate,
            gradient_norm=norm,
            num_tokens=state.num_tokens,
            num_epochs=batch.num_epochs,
            tokens_per_second=sum(n for n, _ in self._timed) / sum(s for _, s in self._timed),
            peak_device_bytes=peak_bytes,
            trained_seconds=state.trained_seconds,
        )

    def _learn(self, batch: Batch) -> tuple[float, float]:
        """One optimizer step; mean loss and gradient norm. Every token weighs the same."""
        model, size = self._model, self._order.micro_batch_size
        num_tokens = sum(sequence.num_tokens for sequence in batch.sequences)
        model.network.train()
        self._optimizer.zero_grad(set_to_none=True)
        total = 0.0
        for begin in range(0, len(batch.sequences), size):
            loss = model.losses(batch.sequences[begin : begin + size]).total / num_tokens
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.item()
        norm = torch.nn.utils.clip_grad_norm_(model.trainable.values(), _MAX_GRADIENT_NORM)
        self._check_finite("loss", total)
        self._check_finite("gradient norm", float(norm))
        self._optimizer.step()
        return total, float(norm)

    def _check_finite(self, name: str, value: float) -> None:
        if not math.isfinite(value):
            raise NotFinite(
                f"The training has diverged: the {name} is no number after step"
                f" {self._state.step}. Create the run again with a smaller learning_rate or a"
                " longer warm-up; the checkpoints before are kept."
            )

    def _measure_when_due(self) -> float | None:
        order, state = self._order, self._state
        last = state.step == order.train_steps
        if not self._test or not (last or state.step % order.measure_every_steps == 0):
            return None
        loss = self.test_loss()
        self._check_finite("test loss", loss)
        if state.best_test_loss is None or loss < state.best_test_loss:
            state.best_test_loss, state.best_step = loss, state.step
        return loss

    def test_loss(self) -> float:
        """Mean over the learned tokens of the whole test set."""
        self._model.network.eval()
        total, num_tokens = 0.0, 0
        with torch.no_grad():
            for sequence in self._test:
                found = self._model.losses([sequence])
                total += found.total.item()
                num_tokens += found.num_tokens
        return total / num_tokens

    def _checkpoint(self, message: StepDone) -> None:
        state = self._state
        folder = Path(self._order.output_folder) / f"step-{state.step:06d}"
        checkpoint.save(folder, self._model, self._optimizer, state, self._order.model)
        self._saved_step = state.step
        self._tell(
            CheckpointWritten(
                step=state.step,
                folder=str(folder),
                train_loss=message.train_loss,
                test_loss=message.test_loss,
            )
        )

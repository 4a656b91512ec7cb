"""Training: data-parallel processes of one thread each, Muon and AdamW, a schedule that ends at a
wall-clock time.

Run: ``python -m services.finetune.starter.train --deadline 03:50``. It goes on from
``checkpoints/last.pt`` when there is one; ``checkpoints/stable.pt`` is the state before the
learning rate begins to fall, to train longer from.

Muon: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"
(torch.optim.Muon). The learning rate is constant and then falls linearly to zero (WSD,
arXiv:2405.18392).
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from services.finetune.starter import WORK_DIR
from services.finetune.starter.model import ModelShape, StarterModel


@dataclass(frozen=True)
class TrainSettings:
    work: Path
    deadline_at: float
    num_processes: int = 2
    micro_tokens: int = 4096
    muon_lr: float = 0.012
    muon_weight_decay: float = 0.02
    adam_lr: float = 3e-3
    warmup_steps: int = 60
    decay_share: float = 0.3
    lengths: tuple[tuple[float, int], ...] = ((0.0, 256), (0.23, 512), (0.75, 1024), (0.94, 2048))
    double_batch_from: float = 0.23
    checkpoint_seconds: float = 180.0
    evaluate_seconds: float = 300.0
    max_steps: int = 0
    seed: int = 0

    def length(self, progress: float) -> int:
        """Tokens in a sequence: short ones are cheaper, and a young model has nothing to do with a
        longer context.
        """
        return max(length for begin, length in self.lengths if progress >= begin)

    def num_micro_batches(self, progress: float) -> int:
        return 2 if progress >= self.double_batch_from else 1

    def lr_factor(self, step: int, progress: float) -> float:
        falling = (1.0 - progress) / self.decay_share
        scale = math.sqrt(self.num_micro_batches(progress))  # as the noise of a larger batch falls
        return scale * max(0.0, min(1.0, (step + 1) / self.warmup_steps, falling))


@dataclass
class Progress:
    """What a resumed run goes on from, besides weights and optimizer state."""

    step: int = 0
    tokens: int = 0
    cursor: int = 0
    epoch: int = 0
    elapsed_seconds: float = 0.0


class Windows:
    """The token stream in a random order of blocks of 2048 tokens, which are cut to the length in
    use.
    """

    block = 2048

    def __init__(self, path: Path, seed: int) -> None:
        self._ids = np.load(path, mmap_mode="r")
        self._num_blocks = (self._ids.size - 1) // self.block
        self._seed = seed
        self._epoch = -1
        self._order: np.ndarray = np.empty(0)

    def take(self, progress: Progress, num_tokens: int, rank: int, num_ranks: int) -> np.ndarray:
        """This rank's next [num_tokens // block, block + 1] ids; moves the cursor for all ranks."""
        rows = num_tokens // self.block
        if progress.cursor + rows * num_ranks > self._num_blocks:
            progress.cursor, progress.epoch = 0, progress.epoch + 1
        if progress.epoch != self._epoch:
            self._epoch = progress.epoch
            self._order = np.random.default_rng([self._seed, self._epoch]).permutation(
                self._num_blocks
            )
        mine = self._order[progress.cursor + rank * rows : progress.cursor + (rank + 1) * rows]
        progress.cursor += rows * num_ranks
        return np.stack(
            [self._ids[i * self.block : (i + 1) * self.block + 1] for i in mine]
        ).astype(np.int64)


def to_batch(blocks: np.ndarray, length: int) -> tuple[Tensor, Tensor]:
    """Inputs and targets, both [rows, length]."""
    ids = torch.from_numpy(blocks)
    return ids[:, :-1].reshape(-1, length), ids[:, 1:].reshape(-1, length)


class Optimizers:
    """Muon for the layers' matrices, each rank stepping its share and sending it round; AdamW for
    the rest, on every rank.
    """

    def __init__(self, model: StarterModel, settings: TrainSettings, rank: int) -> None:
        matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
        others = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
        matrices.sort(key=lambda p: -p.numel())
        self._matrices = matrices
        self._num_ranks = settings.num_processes
        self._settings = settings
        self.muon: torch.optim.Optimizer = torch.optim.Muon(
            matrices[rank :: self._num_ranks],
            lr=settings.muon_lr,
            weight_decay=settings.muon_weight_decay,
        )
        self.adam: torch.optim.Optimizer = torch.optim.AdamW(
            others, lr=settings.adam_lr, betas=(0.9, 0.95), weight_decay=0.0, foreach=True
        )

    def step(self, lr_factor: float) -> None:
        self.muon.param_groups[0]["lr"] = self._settings.muon_lr * lr_factor
        self.adam.param_groups[0]["lr"] = self._settings.adam_lr * lr_factor
        self.muon.step()
        self.adam.step()
        for source in range(self._num_ranks):
            share = self._matrices[source :: self._num_ranks]
            flat = torch.cat([p.detach().flatten() for p in share])
            dist.broadcast(flat, source)
            for parameter, new in zip(
                share, torch.split(flat, [p.numel() for p in share]), strict=True
            ):
                parameter.data.copy_(new.view_as(parameter))


def mean_gradients(model: StarterModel, num_ranks: int, num_micro: int) -> None:
    """Make each gradient its mean over ranks and micro-batches; clip the whole to norm 1."""
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    flat = torch.cat([g.flatten() for g in grads])
    dist.all_reduce(flat)
    flat /= num_ranks * num_micro
    norm = float(flat.norm())
    flat *= min(1.0, 1.0 / (norm + 1e-6))
    for grad, new in zip(grads, torch.split(flat, [g.numel() for g in grads]), strict=True):
        grad.copy_(new.view_as(grad))


class Run:
    """One rank's training run."""

    def __init__(self, rank: int, settings: TrainSettings) -> None:
        self.rank, self.settings = rank, settings
        torch.manual_seed(settings.seed)
        self.model = StarterModel(ModelShape())
        self.compiled = torch.compile(self.model, dynamic=False)
        self.optimizers = Optimizers(self.model, settings, rank)
        self.progress = Progress()
        self.windows = Windows(settings.work / "examples" / "train.npy", settings.seed)
        heldout = np.load(settings.work / "examples" / "heldout.npz")
        self._heldout_blocks, self._heldout_bytes = heldout["blocks"], int(heldout["num_bytes"])
        self.folder = settings.work / "checkpoints"
        self._resume()
        self.started_at = time.time() - self.progress.elapsed_seconds
        now = time.time()
        self._checkpoint_at = now + settings.checkpoint_seconds
        self._evaluate_at = now + settings.evaluate_seconds
        self._was_stable = True

    def _resume(self) -> None:
        path = self.folder / "last.pt"
        if not path.exists():
            return
        state: dict[str, Any] = torch.load(path, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimizers.adam.load_state_dict(state["adam"])
        self.optimizers.muon.load_state_dict(state["muon"][self.rank])
        self.progress = Progress(**state["progress"])

    def save(self, name: str) -> None:
        """Write everything a resumed run needs; the file appears whole or not at all."""
        shares: list[Any] = [None] * self.settings.num_processes
        dist.gather_object(self.optimizers.muon.state_dict(), shares if self.rank == 0 else None)
        if self.rank:
            return
        state = {
            "model": self.model.state_dict(),
            "adam": self.optimizers.adam.state_dict(),
            "muon": shares,
            "progress": asdict(self.progress),
            "shape": asdict(self.model.shape),
        }
        partial = self.folder / f"{name}.partial"
        with partial.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.folder / name)

    def log(self, **entry: float | int) -> None:
        if self.rank == 0:
            with (self.settings.work / "metrics.jsonl").open("a") as file:
                file.write(json.dumps({**asdict(self.progress), **entry}) + "\n")

    def decide(self) -> tuple[float, bool, bool]:
        """Rank 0's clock, for all: share of the time used, whether to save, whether to evaluate."""
        now = time.time()
        share = (now - self.started_at) / (self.settings.deadline_at - self.started_at)
        said = torch.tensor(
            [share, now >= self._checkpoint_at, now >= self._evaluate_at], dtype=torch.float64
        )
        dist.broadcast(said, 0)
        if said[1]:
            self._checkpoint_at = now + self.settings.checkpoint_seconds
        if said[2]:
            self._evaluate_at = now + self.settings.evaluate_seconds
        return float(said[0]), bool(said[1]), bool(said[2])

    def train_step(self, share: float) -> float:
        """One optimizer step; the mean loss of all ranks in nats per token."""
        s = self.settings
        num_micro, length = s.num_micro_batches(share), s.length(share)
        total = torch.zeros(1)
        for _ in range(num_micro):
            blocks = self.windows.take(self.progress, s.micro_tokens, self.rank, s.num_processes)
            ids, targets = to_batch(blocks, length)
            with torch.autocast("cpu", torch.bfloat16):
                loss = self.compiled(ids, targets)
            loss.backward()
            total += loss.detach()
        mean_gradients(self.model, s.num_processes, num_micro)
        self.optimizers.step(s.lr_factor(self.progress.step, share))
        self.model.zero_grad(set_to_none=False)
        dist.all_reduce(total)
        self.progress.step += 1
        self.progress.tokens += s.micro_tokens * num_micro * s.num_processes
        self.progress.elapsed_seconds = time.time() - self.started_at
        return float(total) / (num_micro * s.num_processes)

    @torch.no_grad()
    def heldout_bits(self, length: int) -> float:
        """Bits per byte of a small fixed part of the held-out packages, cut to windows of the
        training length.
        """
        mine = self._heldout_blocks[self.rank :: self.settings.num_processes]
        nats = torch.zeros(1)
        step = max(1, self.settings.micro_tokens // Windows.block)
        for begin in range(0, len(mine) - step + 1, step):
            ids, targets = to_batch(mine[begin : begin + step].astype(np.int64), length)
            with torch.autocast("cpu", torch.bfloat16):
                nats += (
                    self.model(ids, targets) * targets.numel()
                )  # not compiled: once in five minutes
        dist.all_reduce(nats)
        return float(nats) / math.log(2) / self._heldout_bytes

    def loop(self) -> None:
        s = self.settings
        while True:
            share, save, evaluate = self.decide()
            if share >= 1.0 or (s.max_steps and self.progress.step >= s.max_steps):
                break
            if self._was_stable and share >= 1.0 - s.decay_share:
                if not (self.folder / "stable.pt").exists():
                    self.save("stable.pt")
                self._was_stable = False
            loss = self.train_step(share)
            if self.progress.step % 20 == 0:
                self.log(share=round(share, 5), loss=round(loss, 4), length=s.length(share))
            if evaluate:
                self.log(
                    share=round(share, 5),
                    heldout_bits_per_byte=round(self.heldout_bits(s.length(share)), 4),
                )
            if save:
                self.save("last.pt")
        self.log(share=1.0, heldout_bits_per_byte=round(self.heldout_bits(s.length(1.0)), 4))
        self.save("last.pt")


def run_rank(rank: int, settings: TrainSettings, store: str) -> None:
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    dist.init_process_group(
        "gloo", init_method=f"file://{store}", rank=rank, world_size=settings.num_processes
    )
    Run(rank, settings).loop()
    dist.destroy_process_group()


def parse_deadline(text: str, now: datetime.datetime) -> float:
    """The next time the clock shows HH:MM, in seconds since the epoch."""
    at = datetime.datetime.combine(now.date(), datetime.time.fromisoformat(text))
    if at <= now:
        at += datetime.timedelta(days=1)
    return at.timestamp()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=WORK_DIR)
    parser.add_argument(
        "--deadline", required=True, help="HH:MM, local time: the learning rate reaches zero then"
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--muon-lr", type=float, default=TrainSettings.muon_lr)
    parser.add_argument("--adam-lr", type=float, default=TrainSettings.adam_lr)
    parser.add_argument("--max-steps", type=int, default=0)
    arguments = parser.parse_args()
    settings = TrainSettings(
        work=arguments.work,
        deadline_at=parse_deadline(arguments.deadline, datetime.datetime.now()),
        num_processes=arguments.processes,
        muon_lr=arguments.muon_lr,
        adam_lr=arguments.adam_lr,
        max_steps=arguments.max_steps,
    )
    os.environ["OMP_NUM_THREADS"] = "1"
    # Python ends daemonic children only when it leaves by itself.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    (settings.work / "checkpoints").mkdir(parents=True, exist_ok=True)
    store = settings.work / "rendezvous"
    store.unlink(missing_ok=True)
    context = multiprocessing.get_context("spawn")
    ranks = [
        context.Process(target=run_rank, args=(rank, settings, str(store)), daemon=True)
        for rank in range(settings.num_processes)
    ]
    for process in ranks:
        process.start()
    # A rank that dies leaves the others waiting in a collective: the first to end badly ends all.
    waiting = {process.sentinel: process for process in ranks}
    while waiting:
        for sentinel in multiprocessing.connection.wait(list(waiting)):
            process = waiting.pop(cast(int, sentinel))
            process.join()
            if process.exitcode:
                raise SystemExit(f"a rank ended with {process.exitcode}")


if __name__ == "__main__":
    main()

"""Model card: README.md of an exported model, written from what was measured.

Run: ``python -m services.finetune.starter.card --model DIR`` after export and evaluation.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from services.finetune.starter import WORK_DIR
from services.finetune.starter.examples import CHAT_SHARE, FIM_SHARE, SPM_SHARE

TEMPLATE = Path(__file__).with_name("card.md")
LOSS_EVERY_SECONDS = 600


def table(head: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def package_rows(packages: dict[str, dict[str, Any]], section: str) -> list[tuple[object, ...]]:
    return [
        (
            requirement.replace("==", " "),
            entry["licence"],
            f"{entry.get('kept_bytes', 0) / 1e6:.2f}",
        )
        for requirement, entry in sorted(packages.items())
        if entry["section"] == section
    ]


def loss_rows(metrics: list[dict[str, Any]]) -> list[tuple[object, ...]]:
    """The held-out figure nearest to every ten minutes of training, and the last one."""
    measured = [m for m in metrics if "heldout_bits_per_byte" in m]
    length = 256
    lengths: dict[int, int] = {}
    for entry in metrics:
        length = entry.get("length", length)
        lengths[entry["step"]] = length
    marks = range(LOSS_EVERY_SECONDS, int(measured[-1]["elapsed_seconds"]), LOSS_EVERY_SECONDS)
    times = np.array([m["elapsed_seconds"] for m in measured])
    chosen = [measured[int(np.abs(times - at).argmin())] for at in marks]
    chosen.append(measured[-1])
    unique = {m["step"]: m for m in chosen}
    return [
        (
            f"{m['elapsed_seconds'] / 60:.0f}",
            m["step"],
            f"{m['tokens'] / 1e6:.1f}",
            lengths[m["step"]],
            f"{m['heldout_bits_per_byte']:.3f}",
        )
        for m in unique.values()
    ]


def result_rows(evaluation: dict[str, Any]) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = [
        (name, f"{value:.3f}") for name, value in evaluation["baselines_bits_per_byte"].items()
    ]
    for window, values in evaluation["bits_per_byte"].items():
        rows.append((f"**starter-coder**, {window} tokens", f"**{values['all']:.3f}**"))
    return rows


def noise_rows(evaluation: dict[str, Any]) -> list[tuple[object, ...]]:
    return [
        (name, f"{k['auc_by_token']:.4f}", f"{k['auc_by_byte']:.4f}", k["noise_bits_per_byte"])
        for name, k in evaluation["noise"]["kinds"].items()
    ]


def render(work: Path, evaluation: dict[str, Any]) -> str:
    """The card's text."""
    manifest = json.loads((work / "corpus" / "manifest.json").read_text())
    facts = json.loads((work / "examples" / "facts.json").read_text())
    metrics = [json.loads(line) for line in (work / "metrics.jsonl").read_text().splitlines()]
    last = metrics[-1]
    by_package = list(evaluation["bits_per_byte"].values())[-1]
    sizes = evaluation["heldout"]["bytes_by_package"]
    per_package: list[tuple[object, ...]] = [
        (name, f"{size / 1e6:.2f}", f"{by_package[name]:.3f}") for name, size in sizes.items()
    ]
    return TEMPLATE.read_text().format(
        files=facts["files"],
        megabytes=f"{facts['bytes'] / 1e6:.0f}",
        corpus_tokens=f"{facts['tokens'] / 1e6:.1f}",
        seen_tokens=f"{last['tokens'] / 1e6:.1f}",
        steps=last["step"],
        minutes=f"{last['elapsed_seconds'] / 60:.0f}",
        heldout_megabytes=f"{evaluation['heldout']['bytes'] / 1e6:.2f}",
        heldout_files=evaluation["heldout"]["files"],
        fim=f"{FIM_SHARE:.0%}",
        spm=f"{SPM_SHARE:.0%}",
        chat=f"{CHAT_SHARE:.0%}",
        results=table(("model", "bits per byte"), result_rows(evaluation)),
        per_package=table(("held-out package", "MB", "bits per byte"), per_package),
        noise=table(
            ("against code", "by token", "by byte", "bits per byte"), noise_rows(evaluation)
        ),
        noise_documents=evaluation["noise"]["documents_of_each_kind"],
        losses=table(
            ("minutes", "steps", "M tokens", "length", "held-out bits per byte"), loss_rows(metrics)
        ),
        train=table(("package", "licence", "MB"), package_rows(manifest["packages"], "train")),
        reserved=", ".join(
            p.replace("==", " ")
            for p, e in manifest["packages"].items()
            if e["section"] == "reserved"
        ),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=WORK_DIR)
    parser.add_argument("--model", type=Path, required=True)
    arguments = parser.parse_args()
    evaluation = json.loads((arguments.model / "evaluation.json").read_text())
    (arguments.model / "README.md").write_text(render(arguments.work, evaluation))


if __name__ == "__main__":
    main()

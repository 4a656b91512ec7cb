"""transformers' generate with a batch of one, in a process of its own.

`python -m tests.bench.transformers_generate MODEL_FOLDER MAX_TOKENS`: a line of input is a JSON
array of prompts, each an array of token ids; the line of output has the answers, one after another.
"""

from __future__ import annotations

import json
import os
import sys

import torch
from transformers import AutoModelForCausalLM

from services.cluster.guard import die_with_parent


def main(model_folder: str, max_tokens: int) -> None:
    model = AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32).eval()
    for line in sys.stdin:
        answers = []
        for prompt in json.loads(line):
            ids = torch.tensor([prompt])
            found = model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=max_tokens,
                do_sample=False,
            )
            answers.append(found[0, len(prompt) :].tolist())
        print(json.dumps(answers), flush=True)  # noqa: T201


if __name__ == "__main__":
    die_with_parent(os.getppid())
    main(sys.argv[1], int(sys.argv[2]))

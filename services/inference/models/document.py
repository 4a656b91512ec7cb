"""Writes docs/models.md from the catalogue: `make models-doc`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

from services.cluster.records import ModelRecord
from services.inference.models.architectures import Architectures
from services.inference.models.catalogue import Capability, load_catalogue

_GIB = 1024**3
_INTRODUCTION = """\
# Models

<!-- Written by `make models-doc` from services/inference/models/catalogue.jsonl: change that. -->

Hearth knows {num_models} open models; `GET /api/v1/models` lists them beside those that were added.
Any of them may be deployed by its name: its weights come from the hub, or were uploaded. Any other
model whose class vLLM {vllm} serves may be added by its hub id or its folder.

| column | says |
|---|---|
| size | parameters, and in brackets those that each token goes through where experts take turns |
| context | tokens that prompt and answer share |
| GPU memory | weights as vLLM keeps them, and the key-value cache of 8192 tokens; \
the engine itself takes 1.5 GiB and a tenth of the weights more |
| can | what the model is offered for; *finetune* where vLLM serves LoRA adapters on its class \
and the trainer can train it |
| FIM | its [family](../services/cluster/fim.py) of fill-in-the-middle tokens |
| licence | SPDX identifier or the licence's own name; *gated*: the hub wants the token of \
an account that accepted it |
"""
_ADDING = """\
## Another model

`POST /api/v1/models` adds a model by its hub id, at a `revision` if one is named, or by a folder on
the agent's host: config.json, tokenizer.json and safetensors, as transformers saves it. Class,
context, memory need, quantization, fill-in-the-middle tokens, chat template, parsers, embedding
size and LoRA support are read from its files; of weights that are still on the hub only the headers
are fetched for that ([operations](operations.md#models-and-their-weights)).

| field | is given where the files do not say it, or to say something else |
|---|---|
| `context_tokens` | at most what the files say |
| `fim_family` | {families} |
| `chat_template` | the template itself, in Jinja |
| `tool_parser`, `reasoning_parser` | names of vLLM's parsers |

Refused, with the reason: weights that are pickled or in GGUF only, files that are cut off or
missing, a class that vLLM does not serve, one that scores, transcribes or drafts, one that needs
code of its own, a quantization that vLLM does not serve, a context that it was not made for.

## A new line

The table is `services/inference/models/catalogue.jsonl`, one model a line; `parsers.jsonl` beside
it says which parser a family's chat template needs. `make models-doc` writes this page again. The
tests hold every line against what vLLM serves: `architectures.json`, which
`python -m services.inference.models.vllm_registry` writes after a change of vLLM's version.
"""
_NUM_TOKENS = 8192
_VALUE_BYTES = 2


def document() -> str:
    models = load_catalogue()
    families = dict.fromkeys(name.partition("/")[0] for name in models)
    used = sorted({model.fim_family for model in models.values()} - {""})
    parts = [
        _INTRODUCTION.format(num_models=len(models), vllm=Architectures.load().vllm),
        *(
            _section(f, [m for m in models.values() if m.name.startswith(f"{f}/")])
            for f in families
        ),
        _ADDING.format(families=", ".join(f"`{name}`" for name in used)),
    ]
    return "\n".join(parts)


def _section(family: str, models: Iterable[ModelRecord]) -> str:
    mine = (model for model in models if model.name.startswith(f"{family}/"))
    return "\n".join([f"## {family}\n", *_table(mine), ""])


def _table(models: Iterable[ModelRecord]) -> Iterator[str]:
    yield "| model | hub id | size | context | GPU memory | can | FIM | licence |"
    yield "|---|---|---|---|---|---|---|---|"
    for model in models:
        cells = (
            f"`{model.name}`",
            model.hub_id,
            _size(model),
            str(model.context_tokens),
            f"{memory_bytes(model) / _GIB:.1f} GiB",
            ", ".join(each for each in Capability if getattr(model, f"supports_{each}")),
            model.fim_family,
            model.licence + ", gated" * model.gated,
        )
        yield f"| {' | '.join(cells)} |"


def memory_bytes(model: ModelRecord) -> int:
    """Weights on a GPU, where vLLM keeps 16 bits of what is not quantized, and some cache."""
    computed = model.num_parameters * _VALUE_BYTES
    weights = min(computed, model.weights_bytes or computed)
    num_tokens = min(_NUM_TOKENS, model.context_tokens)
    return weights + model.kv_values_per_token * _VALUE_BYTES * num_tokens


def _size(model: ModelRecord) -> str:
    active = f" ({_count(model.num_active_parameters)})" if model.num_active_parameters else ""
    return _count(model.num_parameters) + active


def _count(number: int) -> str:
    return f"{number / 1e9:.1f} B" if number >= 1e9 else f"{number / 1e6:.0f} M"


if __name__ == "__main__":
    sys.stdout.write(document())

"""What transformers says of the same weights, so that an answer can be held against them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


class Reference:
    """A model folder, read by transformers alone, with a chat template of its own."""

    def __init__(self, folder: Path, chat_template: str) -> None:
        self._tokenizer = AutoTokenizer.from_pretrained(folder)
        self._model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        self._chat_template = chat_template
        size = len(self._tokenizer)
        self._ids = {self._tokenizer.decode([number]): number for number in range(size)}

    def prompt(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] = ()
    ) -> list[int]:
        """The token ids of a chat, up to where the answer begins."""
        text = self._tokenizer.apply_chat_template(
            list(messages),
            tools=list(tools) or None,
            chat_template=self._chat_template,
            add_generation_prompt=True,
            tokenize=False,
        )
        ids: list[int] = self._tokenizer(text, add_special_tokens=False).input_ids
        return ids

    def ids_of(self, texts: Sequence[str]) -> list[int]:
        """The ids of tokens by their texts. Raises KeyError for one that is no whole character."""
        return [self._ids[text] for text in texts]

    def text_of(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))

    def logprobs(self, prompt: Sequence[int], answer: Sequence[int]) -> list[float]:
        """Of each token of the answer after the prompt and what stands before it."""
        ids = torch.tensor([[*prompt, *answer]])
        with torch.no_grad():
            logits = self._model(input_ids=ids).logits[0, len(prompt) - 1 : -1]
        chosen = torch.log_softmax(logits, -1)[range(len(answer)), list(answer)]
        return [float(value) for value in chosen]

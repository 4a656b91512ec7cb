"""Each fill-in-the-middle family of the catalogue, as a prompt by a real tokenizer's tokens."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.cluster.fim import FimFamily, family_named
from services.inference.models.catalogue import load_catalogue
from services.inference.prompts import Prompts
from services.inference.tokenization import ModelTokenizer
from tests.inference.tiny_tokenizer import write_tokenizer

# As the model cards write them.
PROMPTS = {
    "qwen2.5-coder": "<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>",
    "starcoder2": "<fim_prefix>a<fim_suffix>b<fim_middle>",
    "deepseek-coder": "<｜begin▁of▁sentence｜><｜fim▁begin｜>a<｜fim▁hole｜>b<｜fim▁end｜>",
    "codellama": "<s>▁<PRE>a▁<SUF>b▁<MID>",
    "codegemma": "<bos><|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>",
    "codestral": "<s>[SUFFIX]b[PREFIX]a",
    "granite": "<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>",
    "seed-coder": "<[fim-suffix]>b<[fim-prefix]>a<[fim-middle]>",
}


def tokenizer_of(family: FimFamily, folder: Path) -> ModelTokenizer:
    """Has the tokens of one family and no other."""
    write_tokenizer(folder)
    place = folder / "tokenizer.json"
    description = json.loads(place.read_text(encoding="utf-8"))
    model, first = description["added_tokens"][0], len(description["model"]["vocab"])
    texts = dict.fromkeys((*family.tokens, *family.stops))
    description["added_tokens"] = [
        {**model, "id": first + number, "content": text} for number, text in enumerate(texts)
    ]
    place.write_text(json.dumps(description), encoding="utf-8")
    return ModelTokenizer(folder)


def test_each_family_of_the_catalogue_has_a_prompt_here() -> None:
    assert PROMPTS.keys() == {m.fim_family for m in load_catalogue().values()} - {""}


@pytest.mark.parametrize("name", PROMPTS)
def test_a_cursor_becomes_the_prompt_of_the_family(name: str, tmp_path: Path) -> None:
    family = family_named(name)
    assert family is not None
    tokenizer = tokenizer_of(family, tmp_path)
    prompts = Prompts(tokenizer, 100)
    assert prompts.fim is family
    built = prompts.from_cursor("a", "b", 10)
    assert tokenizer.decode(list(built.token_ids)) == PROMPTS[name]
    assert {tokenizer.special_tokens[text] for text in family.stops} <= set(built.stop_token_ids)


def test_there_is_no_other_family() -> None:
    assert family_named("none-such") is None

"""What the Refact plugin's agent is offered, in the two forms that its versions read.

Pure: offers in, a JSON value out. The forms are those of the original server: from agent 0.10.15 on
models with their fill-in-the-middle tokens, before that a flat list and a record for each model.
An address that is left out means one of the agent's makers, so all of them are said.
They are relative to that of the caps, without a slash before: so they hold behind any path prefix.
`support_metadata` makes the agent name itself in every request: problems.py answers it differently.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from services.gateway.routing import Offer
from services.gateway.speakers import Speaker

CLOUD_NAME = "Hearth"
# Paths of routes/refact_telemetry.py; the agent joins them to the address that it was given.
TELEMETRY_PLACE = "stats/telemetry-basic"
SNIPPETS_PLACE = "stats/telemetry-snippets"
WRITTEN_PLACE = "stats/rh-stats"
_AGENT_VERSION = re.compile(r"refact-lsp[ /](\d+)\.(\d+)\.(\d+)")
_FIRST_WITH_NEW_FORM = (0, 10, 15)
# Families for which the agent can write what it found in other files before the prompt.
_CONTEXT_FORMATS = {"qwen2.5-coder": "qwen2.5", "starcoder2": "starcoder"}
_RAG_SHARE = 0.5
# Below, half of the context for other files leaves too little around the cursor; the agent refuses
# to complete when less than 512 tokens are left.
_MIN_CONTEXT_TOKENS_FOR_RAG = 4096
_SUFFIX_FIRST = frozenset({"seed-coder"})
_TOKENIZER_PLACE = "tokenizer/"


def caps_for(
    user_agent: str, offers: Sequence[Offer], caps_version: int, customization: str = ""
) -> dict[str, Any]:
    """The form that the agent's version reads. An agent without a token does not say its version:
    it gets both forms in one, which agree where they share a key, and ignores the other's keys.
    """
    found = _AGENT_VERSION.match(user_agent)
    told = (offers, caps_version, customization)
    if found is None:
        return {**old_caps(*told), **new_caps(*told)}
    reads_new = tuple(map(int, found.groups())) >= _FIRST_WITH_NEW_FORM
    return (new_caps if reads_new else old_caps)(*told)


def tokenizer_name(model: str) -> str:
    """A model's name in a path: "/" separates there."""
    return model.replace("/", "--")


def new_caps(offers: Sequence[Offer], caps_version: int, customization: str = "") -> dict[str, Any]:
    completing, chatting, embedding = _completing(offers), _chatting(offers), _embedding(offers)
    default = _default(completing)
    return {
        "cloud_name": CLOUD_NAME,
        "completion": {
            "endpoint": "v1/completions",
            "models": {
                name: {
                    "n_ctx": offer.speaker.context_tokens,
                    "supports_scratchpads": _scratchpads(offer.speaker),
                }
                for offer in completing
                for name in _names(offer)
            },
            "default_model": default,
            "default_multiline_model": default,
        },
        "chat": {
            "endpoint": "v1/chat/completions",
            "models": {
                name: {
                    "n_ctx": offer.speaker.context_tokens,
                    "supports_scratchpads": {"PASSTHROUGH": {}},
                    **_abilities(offer),
                }
                for offer in chatting
                for name in _names(offer)
            },
            "default_model": _default(chatting),
        },
        "embedding": {
            "endpoint": "v1/embeddings",
            "models": {
                offer.base.name: {
                    "n_ctx": offer.speaker.context_tokens,
                    "size": offer.speaker.embedding_size,
                }
                for offer in embedding
            },
            "default_model": _default(embedding),
        },
        "telemetry_endpoints": {
            "telemetry_basic_endpoint": TELEMETRY_PLACE,
            "telemetry_basic_retrieve_my_own_endpoint": WRITTEN_PLACE,
            "telemetry_corrected_snippets_endpoint": SNIPPETS_PLACE,
        },
        "tokenizer_endpoints": {
            name: _TOKENIZER_PLACE + tokenizer_name(offer.base.model)
            for offer in offers
            for name in _names(offer)
        },
        "customization": customization,
        "support_metadata": True,
        "caps_version": caps_version,
    }


def old_caps(offers: Sequence[Offer], caps_version: int, customization: str = "") -> dict[str, Any]:
    """The agent drops models that it does not know; `code_*_models` makes them known to it. Chat
    looks there for the whole name, completion and tokenizers for what stands before the ":".
    """
    completing, chatting = _completing(offers), _chatting(offers)
    default = _default(completing)
    return {
        "cloud_name": CLOUD_NAME,
        "endpoint_style": "openai",
        "endpoint_template": "v1/completions",
        "endpoint_chat_passthrough": "v1/chat/completions",
        "telemetry_basic_dest": TELEMETRY_PLACE,
        "telemetry_basic_retrieve_my_own": WRITTEN_PLACE,
        "telemetry_corrected_snippets_dest": SNIPPETS_PLACE,
        "running_models": [name for offer in offers for name in _names(offer)],
        "code_completion_default_model": default,
        "multiline_code_completion_default_model": default,
        "code_chat_default_model": _default(chatting),
        "code_completion_n_ctx": 0,  # no limit beside that of the model; left out, it is 2048
        "code_completion_models": {
            name: _old_record(offer.speaker, _scratchpads(offer.speaker))
            for offer in completing
            for name in _names(offer)
        },
        "code_chat_models": {
            name: _old_record(offer.speaker, {"PASSTHROUGH": {}})
            for offer in chatting
            for name in _names(offer)
        },
        **_old_embedding(offers),
        "tokenizer_path_template": f"{_TOKENIZER_PLACE}$MODEL",
        "tokenizer_rewrite_path": {
            offer.base.model: tokenizer_name(offer.base.model) for offer in offers
        },
        "customization": customization,
        "support_metadata": True,
        "caps_version": caps_version,
    }


def _old_embedding(offers: Sequence[Offer]) -> dict[str, Any]:
    embedding = [offer for offer in _embedding(offers) if not offer.leaves_site]
    if not embedding:
        return {}
    speaker = embedding[0].speaker
    return {
        "default_embeddings_model": speaker.model,
        "endpoint_embeddings_template": "v1/embeddings",
        "endpoint_embeddings_style": "openai",
        "size_embeddings": speaker.embedding_size,
        "embedding_n_ctx": speaker.context_tokens,
    }


def _completing(offers: Sequence[Offer]) -> list[Offer]:
    """The agent writes the fill-in-the-middle prompt: without the tokens for it nothing comes."""
    return [offer for offer in offers if _scratchpads(offer.speaker)]


def _chatting(offers: Sequence[Offer]) -> list[Offer]:
    return [offer for offer in offers if offer.speaker.supports_chat]


def _embedding(offers: Sequence[Offer]) -> list[Offer]:
    return [offer for offer in offers if offer.speaker.embedding_size > 0]


def _default(offers: Sequence[Offer]) -> str:
    """What leaves the site is never taken by itself."""
    return next((offer.auto.name for offer in offers if not offer.leaves_site), "")


def _abilities(offer: Offer) -> dict[str, bool]:
    """What an administrator said of a model elsewhere."""
    if offer.base.remote is None:
        return {}
    record = offer.base.remote.record
    return {
        "supports_tools": record.supports_tools,
        "supports_multimodality": record.supports_images,
    }


def _names(offer: Offer) -> list[str]:
    return [offer.base.name, *(target.name for _, target in offer.adapters)]


def _old_record(speaker: Speaker, scratchpads: dict[str, Any]) -> dict[str, Any]:
    return {
        "n_ctx": speaker.context_tokens,
        "supports_scratchpads": scratchpads,
        "default_scratchpad": next(iter(scratchpads), ""),
        "similar_models": [],
    }


def _scratchpads(speaker: Speaker) -> dict[str, Any]:
    """How the agent builds a fill-in-the-middle prompt; {} where it can not."""
    fim = speaker.fim
    if fim is None or not fim.middle or not fim.end:
        return {}
    tokens: dict[str, Any] = {
        "fim_prefix": fim.prefix,
        "fim_suffix": fim.suffix,
        "fim_middle": fim.middle,
        "eot": fim.end,
        "extra_stop_tokens": list(fim.extra_stop),
    }
    context_format = _CONTEXT_FORMATS.get(fim.family)
    if context_format and speaker.context_tokens >= _MIN_CONTEXT_TOKENS_FOR_RAG:
        tokens |= {"context_format": context_format, "rag_ratio": _RAG_SHARE}
    return {"FIM-SPM" if fim.family in _SUFFIX_FIRST else "FIM-PSM": tokens}

"""What the Refact plugin's agent is offered, in the two forms that its versions read.

Pure: offers in, a JSON value out. The forms are those of the original server: from agent 0.10.15 on
models with their fill-in-the-middle tokens, before that a flat list and a record for each model.
An address that is left out means one of the agent's makers, so all of them are said, "" for none.
They are relative to that of the caps, without a slash before: so they hold behind any path prefix.
`support_metadata` makes the agent name itself in every request: problems.py answers it differently.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from services.cluster.records import ReplicaRecord
from services.gateway.routing import Offer

_CLOUD_NAME = "Hearth"
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


def caps_for(user_agent: str, offers: Sequence[Offer], caps_version: int) -> dict[str, Any]:
    """The form that the agent's version reads. An agent without a token does not say its version:
    it gets both forms in one, which agree where they share a key, and ignores the other's keys.
    """
    found = _AGENT_VERSION.match(user_agent)
    if found is None:
        return {**old_caps(offers, caps_version), **new_caps(offers, caps_version)}
    reads_new = tuple(map(int, found.groups())) >= _FIRST_WITH_NEW_FORM
    return (new_caps if reads_new else old_caps)(offers, caps_version)


def tokenizer_name(model: str) -> str:
    """A model's name in a path: "/" separates there."""
    return model.replace("/", "--")


def new_caps(offers: Sequence[Offer], caps_version: int) -> dict[str, Any]:
    completing, chatting, embedding = _completing(offers), _chatting(offers), _embedding(offers)
    default = completing[0].auto.name if completing else ""
    return {
        "cloud_name": _CLOUD_NAME,
        "completion": {
            "endpoint": "v1/completions",
            "models": {
                name: {
                    "n_ctx": offer.replica.context_tokens,
                    "supports_scratchpads": _scratchpads(offer.replica),
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
                    "n_ctx": offer.replica.context_tokens,
                    "supports_scratchpads": {"PASSTHROUGH": {}},
                }
                for offer in chatting
                for name in _names(offer)
            },
            "default_model": chatting[0].auto.name if chatting else "",
        },
        "embedding": {
            "endpoint": "v1/embeddings",
            "models": {
                offer.base.name: {
                    "n_ctx": offer.replica.context_tokens,
                    "size": offer.replica.embedding_size,
                }
                for offer in embedding
            },
            "default_model": embedding[0].base.name if embedding else "",
        },
        "telemetry_endpoints": {
            "telemetry_basic_endpoint": "",
            "telemetry_basic_retrieve_my_own_endpoint": "",
            "telemetry_corrected_snippets_endpoint": "",
        },
        "tokenizer_endpoints": {
            name: _TOKENIZER_PLACE + tokenizer_name(offer.base.model)
            for offer in offers
            for name in _names(offer)
        },
        "support_metadata": True,
        "caps_version": caps_version,
    }


def old_caps(offers: Sequence[Offer], caps_version: int) -> dict[str, Any]:
    """The agent drops models that it does not know; `code_*_models` makes them known to it. Chat
    looks there for the whole name, completion and tokenizers for what stands before the ":".
    """
    completing, chatting = _completing(offers), _chatting(offers)
    default = completing[0].auto.name if completing else ""
    return {
        "cloud_name": _CLOUD_NAME,
        "endpoint_style": "openai",
        "endpoint_template": "v1/completions",
        "endpoint_chat_passthrough": "v1/chat/completions",
        "telemetry_basic_dest": "",
        "telemetry_basic_retrieve_my_own": "",
        "telemetry_corrected_snippets_dest": "",
        "running_models": [name for offer in offers for name in _names(offer)],
        "code_completion_default_model": default,
        "multiline_code_completion_default_model": default,
        "code_chat_default_model": chatting[0].auto.name if chatting else "",
        "code_completion_n_ctx": 0,  # no limit beside that of the model; left out, it is 2048
        "code_completion_models": {
            name: _old_record(offer.replica, _scratchpads(offer.replica))
            for offer in completing
            for name in _names(offer)
        },
        "code_chat_models": {
            name: _old_record(offer.replica, {"PASSTHROUGH": {}})
            for offer in chatting
            for name in _names(offer)
        },
        **_old_embedding(offers),
        "tokenizer_path_template": f"{_TOKENIZER_PLACE}$MODEL",
        "tokenizer_rewrite_path": {
            offer.base.model: tokenizer_name(offer.base.model) for offer in offers
        },
        "support_metadata": True,
        "caps_version": caps_version,
    }


def _old_embedding(offers: Sequence[Offer]) -> dict[str, Any]:
    embedding = _embedding(offers)
    if not embedding:
        return {}
    replica = embedding[0].replica
    return {
        "default_embeddings_model": replica.model,
        "endpoint_embeddings_template": "v1/embeddings",
        "endpoint_embeddings_style": "openai",
        "size_embeddings": replica.embedding_size,
        "embedding_n_ctx": replica.context_tokens,
    }


def _completing(offers: Sequence[Offer]) -> list[Offer]:
    """The agent writes the fill-in-the-middle prompt: without the tokens for it nothing comes."""
    return [offer for offer in offers if _scratchpads(offer.replica)]


def _chatting(offers: Sequence[Offer]) -> list[Offer]:
    return [offer for offer in offers if offer.replica.supports_chat]


def _embedding(offers: Sequence[Offer]) -> list[Offer]:
    return [offer for offer in offers if offer.replica.embedding_size > 0]


def _names(offer: Offer) -> list[str]:
    return [offer.base.name, *(target.name for _, target in offer.adapters)]


def _old_record(replica: ReplicaRecord, scratchpads: dict[str, Any]) -> dict[str, Any]:
    return {
        "n_ctx": replica.context_tokens,
        "supports_scratchpads": scratchpads,
        "default_scratchpad": next(iter(scratchpads), ""),
        "similar_models": [],
    }


def _scratchpads(replica: ReplicaRecord) -> dict[str, Any]:
    """How the agent builds a fill-in-the-middle prompt; {} where it can not."""
    fim = replica.fim
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
    if context_format and replica.context_tokens >= _MIN_CONTEXT_TOKENS_FOR_RAG:
        tokens |= {"context_format": context_format, "rag_ratio": _RAG_SHARE}
    return {"FIM-SPM" if fim.family in _SUFFIX_FIRST else "FIM-PSM": tokens}

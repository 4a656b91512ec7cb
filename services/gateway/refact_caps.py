"""What the Refact plugin's agent is offered, in the two forms that its versions read.

Pure: offers in, a JSON value out. The forms are those of the original server: from agent 0.10.15 on
models with their fill-in-the-middle tokens, before that a flat list and a record for each model.
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
# Families whose repository format the agent can write around the file; others get the default.
_CONTEXT_FORMATS = {"qwen2.5-coder": "qwen2.5", "starcoder2": "starcoder"}
_RAG_SHARE = 0.5
_TOKENIZER_PLACE = "/tokenizer/"


def reads_new_form(user_agent: str) -> bool:
    """An agent that says no version shows no token either, and is taken for a new one."""
    found = _AGENT_VERSION.match(user_agent)
    return found is None or tuple(map(int, found.groups())) >= _FIRST_WITH_NEW_FORM


def tokenizer_name(model: str) -> str:
    """A model's name in a path: "/" separates there."""
    return model.replace("/", "--")


def new_caps(offers: Sequence[Offer], caps_version: int) -> dict[str, Any]:
    completing, chatting = _completing(offers), _chatting(offers)
    default = completing[0].auto.name if completing else ""
    return {
        "cloud_name": _CLOUD_NAME,
        "completion": {
            "endpoint": "/v1/completions",
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
            "endpoint": "/v1/chat/completions",
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
        "embedding": {"endpoint": "/v1/embeddings", "models": {}, "default_model": ""},
        "telemetry_endpoints": {
            "telemetry_basic_endpoint": "",
            "telemetry_basic_retrieve_my_own_endpoint": "",
        },
        "tokenizer_endpoints": {
            name: _TOKENIZER_PLACE + tokenizer_name(offer.base.model)
            for offer in offers
            for name in _names(offer)
        },
        "caps_version": caps_version,
    }


def old_caps(offers: Sequence[Offer], caps_version: int) -> dict[str, Any]:
    """The agent drops models that it does not know; `code_*_models` makes them known to it."""
    completing, chatting = _completing(offers), _chatting(offers)
    default = completing[0].auto.name if completing else ""
    return {
        "cloud_name": _CLOUD_NAME,
        "endpoint_style": "openai",
        "endpoint_template": "/v1/completions",
        "endpoint_chat_passthrough": "/v1/chat/completions",
        "telemetry_basic_dest": "",
        "running_models": [name for offer in offers for name in _names(offer)],
        "code_completion_default_model": default,
        "multiline_code_completion_default_model": default,
        "code_chat_default_model": chatting[0].auto.name if chatting else "",
        "code_completion_models": {
            offer.base.model: _old_record(offer.replica, _scratchpads(offer.replica))
            for offer in completing
        },
        "code_chat_models": {
            offer.base.model: _old_record(offer.replica, {"PASSTHROUGH": {}}) for offer in chatting
        },
        "tokenizer_path_template": f"{_TOKENIZER_PLACE}$MODEL",
        "tokenizer_rewrite_path": {
            offer.base.model: tokenizer_name(offer.base.model) for offer in offers
        },
        "caps_version": caps_version,
    }


def _completing(offers: Sequence[Offer]) -> list[Offer]:
    return [offer for offer in offers if offer.replica.embedding_size == 0]


def _chatting(offers: Sequence[Offer]) -> list[Offer]:
    return [offer for offer in offers if offer.replica.supports_chat]


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
    """How the agent builds a fill-in-the-middle prompt; {} leaves it to chat-like rewriting."""
    fim = replica.fim
    if fim is None or not fim.middle:
        return {}
    tokens = {
        "fim_prefix": fim.prefix,
        "fim_suffix": fim.suffix,
        "fim_middle": fim.middle,
        "eot": fim.end,
        "extra_stop_tokens": list(fim.extra_stop),
        "context_format": _CONTEXT_FORMATS.get(fim.family, "default"),
        "rag_ratio": _RAG_SHARE,
    }
    return {"FIM-PSM": tokens}

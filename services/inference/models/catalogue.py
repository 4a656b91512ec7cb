"""The models that Hearth knows before anybody added one: the table catalogue.jsonl.

A model is a line, so a change of one is a change of one line. The facts are those of the models'
own files on the hub; a context is the smaller of what config.json and the tokenizer's files say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, PositiveInt, ValidationError

from services.cluster.errors import BadRequest
from services.cluster.fim import family_named
from services.cluster.records import ModelRecord
from services.inference.models.architectures import Architectures, Kind
from services.inference.models.names import check_model_name

TABLE = Path(__file__).with_name("catalogue.jsonl")
ORIGIN = "catalogue"


class Capability(StrEnum):
    """`toolbox`: the model answers the commands of plugins that work on selected code."""

    COMPLETION = "completion"
    CHAT = "chat"
    TOOLBOX = "toolbox"
    EMBEDDINGS = "embeddings"
    FINETUNE = "finetune"
    TOOLS = "tools"
    REASONING = "reasoning"
    IMAGES = "images"


class CatalogueEntry(BaseModel):
    """A line of the table.

    `weights_bytes` is the size of the weights on the hub, 0 where it is known only there.
    `num_active_parameters` are those that each token goes through, 0 where that is all of them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    hub_id: str
    architecture: str
    licence: str
    gated: bool = False
    capabilities: frozenset[Capability]
    context_tokens: PositiveInt
    num_parameters: PositiveInt
    num_active_parameters: int = 0
    weights_bytes: int = 0
    quantization: str = ""
    num_layers: PositiveInt
    num_heads: PositiveInt
    num_kv_heads: PositiveInt
    kv_values_per_token: int
    embedding_size: int = 0
    fim_family: str = ""
    tool_parser: str = ""
    reasoning_parser: str = ""

    def record(self) -> ModelRecord:
        """As the registry would keep it; no host has its weights yet."""
        facts = self.model_dump(exclude={"capabilities"})
        flags = {f"supports_{each}": each in self.capabilities for each in Capability}
        return ModelRecord(origin=ORIGIN, **facts, **flags)


def load_catalogue(table: Path = TABLE) -> dict[str, ModelRecord]:
    """By name. Raises BadRequest with a sentence that names the line which is wrong."""
    architectures = Architectures.load()
    found: dict[str, ModelRecord] = {}
    for number, line in enumerate(table.read_text(encoding="utf-8").splitlines(), start=1):
        place = f"Line {number} of {table.name}"
        try:
            entry = CatalogueEntry.model_validate_json(line)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"])) or "the line"
            raise BadRequest(f"{place} is no model: {field}: {first['msg']}.") from error
        check_model_name(entry.name)
        problems = [*_contradictions(entry, architectures)]
        if entry.name in found:
            problems.append("the name is taken by a line before")
        if problems:
            raise BadRequest(f"{place}, {entry.name}: {problems[0]}.")
        found[entry.name] = entry.record()
    return found


def as_offered(read: ModelRecord, entry: ModelRecord) -> ModelRecord:
    """What a model's files say of it, offered for what the catalogue says it is good for.

    A base model may have a chat template that it was never taught, which only the catalogue knows.
    """
    told = {f"supports_{each}" for each in Capability}
    told |= {"fim_family", "tool_parser", "reasoning_parser", "licence", "gated"}
    context_tokens = min(read.context_tokens, entry.context_tokens)
    facts = entry.model_dump(include=told) | {"context_tokens": context_tokens}
    return read.model_copy(update=facts)


def offered(
    catalogue: Mapping[str, ModelRecord], registered: Mapping[str, ModelRecord]
) -> dict[str, ModelRecord]:
    """All models, those of the registry first: what somebody added under a name is that model."""
    return {**registered, **{n: m for n, m in catalogue.items() if n not in registered}}


def _contradictions(entry: CatalogueEntry, known: Architectures) -> Iterator[str]:
    """What cannot be, as sentences without their end."""
    architecture = known.find(entry.architecture)
    can = entry.capabilities
    if architecture is None:
        yield f"vLLM {known.vllm} does not serve {entry.architecture}"
        return
    generates = Capability.COMPLETION in can
    if generates == (Capability.EMBEDDINGS in can):
        yield "a model generates text or makes embeddings, one of the two"
    if generates and architecture.kind not in (Kind.GENERATE, Kind.MULTIMODAL):
        yield f"a {entry.architecture} generates no text"
    if not generates and (can != {Capability.EMBEDDINGS} or not entry.embedding_size):
        yield "a model of embeddings has a size of them and does nothing else"
    if Capability.FINETUNE in can and (not architecture.can_learn or entry.quantization):
        yield f"a {entry.quantization} {entry.architecture} cannot be fine-tuned".replace("  ", " ")
    if Capability.IMAGES in can and architecture.kind is not Kind.MULTIMODAL:
        yield f"a {entry.architecture} reads no images"
    if (Capability.TOOLBOX in can) > (Capability.CHAT in can):
        yield "the toolbox needs chat"
    if entry.fim_family and family_named(entry.fim_family) is None:
        yield f"there is no fill-in-the-middle family {entry.fim_family}"
    if entry.quantization and entry.quantization not in known.quantizations:
        yield f"vLLM {known.vllm} does not serve weights quantized by {entry.quantization}"
    if not 0 <= entry.num_active_parameters < entry.num_parameters:
        yield "more parameters are active than there are"
    parsers = (
        (Capability.TOOLS, entry.tool_parser, known.tool_parsers),
        (Capability.REASONING, entry.reasoning_parser, known.reasoning_parsers),
    )
    for capability, parser, names in parsers:
        if bool(parser) != (capability in can):
            yield f"{capability} needs the name of a parser, and a parser the capability"
        if parser and parser not in names:
            yield f"vLLM {known.vllm} has no parser {parser}"

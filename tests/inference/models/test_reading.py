from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from services.cluster.errors import BadRequest
from services.cluster.records import ModelRecord
from services.inference.models.reading import read_model
from services.inference.models.weight_files import is_model_folder
from tests.inference.models.model_folders import write_model


def read(folder: Path) -> ModelRecord:
    return read_model("some/model", folder, origin="local", host_id="here")


def test_everything_is_read_from_the_files(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "m")
    assert is_model_folder(folder)
    found = read(folder)
    assert found.architecture == "Qwen2ForCausalLM"
    assert found.num_parameters == 85
    assert (found.num_layers, found.num_heads, found.num_kv_heads) == (3, 4, 2)
    assert found.context_tokens == 2048
    assert found.weights_bytes == sum(p.stat().st_size for p in folder.glob("*.safetensors"))
    assert found.kv_values_per_token == 2 * 3 * 2 * 16
    assert (found.num_layers, found.num_heads, found.num_kv_heads) == (3, 4, 2)
    assert found.fim_family == "qwen2.5-coder"
    assert found.supports_completion
    assert found.supports_chat
    assert found.supports_finetune
    assert not found.supports_embeddings
    assert found.supports_toolbox
    assert not found.supports_tools
    assert not found.supports_images
    assert (found.quantization, found.num_active_parameters) == ("", 0)
    assert found.licence == "apache-2.0"
    assert (found.local_path, found.host_id, found.origin) == (str(folder), "here", "local")


def test_a_model_of_text_inside_another_has_its_shape_in_text_config(tmp_path: Path) -> None:
    inner = {"max_position_embeddings": 512, "num_hidden_layers": 1, "num_attention_heads": 1}
    folder = write_model(
        tmp_path / "m", text_config={**inner, "head_dim": 8}, max_position_embeddings=None
    )
    assert read(folder).context_tokens == 512
    assert read(folder).kv_values_per_token == 16


def test_an_encoder_makes_embeddings_and_nothing_else(tmp_path: Path) -> None:
    found = read(write_model(tmp_path / "m", architectures=["BertModel"]))
    assert found.supports_embeddings
    assert not found.supports_completion
    assert not found.supports_chat
    assert not found.supports_finetune
    assert found.fim_family == ""
    assert found.kv_values_per_token == 0


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlicense: other\nlicense_name: deepseek\n---\n", "deepseek"),
        ('---\nlicense: "mit"\n---\n', "mit"),
        ("---\nlicense:\n- mit\n---\n", ""),
        ("# No front matter\nlicense: mit\n", ""),
    ],
)
def test_the_licence_is_that_of_the_front_matter(tmp_path: Path, card: str, licence: str) -> None:
    folder = write_model(tmp_path / "m")
    (folder / "README.md").write_text(card)
    assert read(folder).licence == licence


def test_a_model_without_a_card_has_no_known_licence(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "m")
    (folder / "README.md").unlink()
    assert read(folder).licence == ""


def break_weights(folder: Path) -> None:
    place = folder / "model-1-of-2.safetensors"
    place.write_bytes(place.read_bytes()[:-10])


def drop_weights(folder: Path) -> None:
    for place in folder.glob("*.safetensors"):
        place.rename(place.with_suffix(".bin"))


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda folder: (folder / "config.json").unlink(), "config.json"),
        (lambda folder: (folder / "config.json").write_text("{"), "not JSON"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "tokenizer.json"),
        (lambda folder: (folder / "chat_template.jinja").write_text("{% if %}"), "chat template"),
        (break_weights, "not a whole safetensors file"),
        (drop_weights, ".safetensors"),
    ],
)
def test_a_folder_that_is_no_model_is_told_why(
    tmp_path: Path, spoil: Callable[[Path], None], word: str
) -> None:
    folder = write_model(tmp_path / "m")
    spoil(folder)
    with pytest.raises(BadRequest) as refusal:
        read(folder)
    assert word in refusal.value.message


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"architectures": None}, "architecture"),
        ({"max_position_embeddings": None}, "max_position_embeddings"),
        ({"architectures": ["NoSuchForCausalLM"]}, "does not serve"),
        (
            {"architectures": ["NoSuchForCausalLM"], "auto_map": {"AutoModel": "code.Model"}},
            "code of its own",
        ),
        ({"model_type": "new", "auto_map": {"AutoConfig": "code.Config"}}, "auto_map"),
        ({"architectures": ["WhisperForConditionalGeneration"]}, "writes down speech"),
        ({"architectures": ["BertForSequenceClassification"]}, "scores or classifies"),
        ({"architectures": ["MedusaModel"]}, "drafts for another model"),
        ({"quantization_config": {"quant_method": "bitsandbytes"}}, "quantized by bitsandbytes"),
    ],
)
def test_a_config_that_cannot_be_served_is_told_why(
    tmp_path: Path, change: dict[str, object], word: str
) -> None:
    with pytest.raises(BadRequest, match=word):
        read(write_model(tmp_path / "m", **change))


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="no folder"):
        read(tmp_path / "missing")
    assert not is_model_folder(tmp_path / "missing")

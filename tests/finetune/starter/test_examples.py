import ast
import random

import pytest

from services.finetune.starter.corpus import SourceFile
from services.finetune.starter.examples import (
    Hole,
    chat_documents,
    cut_hole,
    fim_documents,
    parse_hole,
    training_documents,
)
from services.finetune.starter.tokenizer import (
    END_OF_TEXT,
    FIM_MIDDLE,
    FIM_PREFIX,
    FIM_SUFFIX,
    IM_END,
)

CODE = '''def total(values):
    """Return the sum of all values."""
    result = 0
    for value in values:
        result += value
    return result


class Box:
    def size(self):
        return 1
'''


@pytest.mark.parametrize("seed", range(200))
def test_hole_is_the_text_cut_in_three(seed: int) -> None:
    hole = cut_hole(CODE, random.Random(seed))
    assert hole.prefix + hole.middle + hole.suffix == CODE


@pytest.mark.parametrize("text", ["x", "\n", "a\n", "\n\n\n", "    pass"])
@pytest.mark.parametrize("seed", range(20))
def test_hole_of_a_tiny_text(text: str, seed: int) -> None:
    hole = cut_hole(text, random.Random(seed))
    assert hole.prefix + hole.middle + hole.suffix == text
    assert hole.middle


def test_rendered_hole_parses_back() -> None:
    hole = cut_hole(CODE, random.Random(3))
    assert parse_hole(hole.render()) == hole


def test_both_orders_put_the_middle_last() -> None:
    hole = Hole("A", "C", "B")
    assert hole.render() == f"{FIM_PREFIX}A{FIM_SUFFIX}B{FIM_MIDDLE}C{END_OF_TEXT}"
    assert hole.render(suffix_first=True) == f"{FIM_PREFIX}{FIM_SUFFIX}B{FIM_MIDDLE}AC{END_OF_TEXT}"


def test_windows_of_a_long_file_cover_it_once() -> None:
    text = CODE * 60
    documents = fim_documents(text, random.Random(1))
    holes = [parse_hole(d) for d in documents if not d.startswith(FIM_PREFIX + FIM_SUFFIX)]
    windows = [h.prefix + h.middle + h.suffix for h in holes]
    assert all(window in text for window in windows)
    assert sum(map(len, windows)) <= len(text)


def test_chat_asks_by_the_docstring_and_answers_with_the_function() -> None:
    (chat,) = chat_documents(CODE, random.Random(0))
    assert "return" in chat.split(IM_END)[1]
    answer = chat.split("```python\n")[1].split("```")[0]
    assert isinstance(ast.parse(answer).body[0], ast.FunctionDef)
    assert chat.endswith(f"{IM_END}\n{END_OF_TEXT}")


def test_same_seed_same_documents() -> None:
    files = [SourceFile("p", f"{i}.py", CODE + f"# {i}\n") for i in range(20)]
    assert list(training_documents(files, 5)) == list(training_documents(files, 5))
    assert list(training_documents(files, 5)) != list(training_documents(files, 6))

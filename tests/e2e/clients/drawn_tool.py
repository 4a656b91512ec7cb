"""A tool that nobody has seen before: what a call of it must look like is drawn for each test."""

from __future__ import annotations

import json
import random
import re
import string
from dataclasses import dataclass
from typing import Any

_NUM_WORDS = 4


@dataclass(frozen=True)
class DrawnTool:
    """A call names one of `words` and a ticket: `letters`, a dash and `num_digits` digits."""

    name: str
    words: tuple[str, ...]
    letters: str
    num_digits: int
    result: str

    @classmethod
    def draw(cls) -> DrawnTool:
        words = tuple(_word(8) for _ in range(_NUM_WORDS))
        return cls(
            f"find_{_word(6)}", words, _word(3).upper(), random.randint(2, 6), f"{_word(5)} 17"
        )

    @property
    def pattern(self) -> str:
        return f"^{self.letters}-[0-9]{{{self.num_digits}}}$"

    @property
    def question(self) -> str:
        return f"Find {self.words[0]} of {self.letters}-{'7' * self.num_digits}."

    @property
    def schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {
                "word": {"type": "string", "enum": list(self.words)},
                "ticket": {"type": "string", "pattern": self.pattern},
            },
            "required": ["word", "ticket"],
            "additionalProperties": False,
        }

    @property
    def function(self) -> dict[str, Any]:
        """As chat templates are shown it."""
        told = {"name": self.name, "description": "Finds a word.", "parameters": self.schema}
        return {"type": "function", "function": told}

    def messages(self, arguments: str = "", result: str = "") -> list[dict[str, Any]]:
        """The question; with `arguments`, the call of it and its result. In the templates' form."""
        asked = {"role": "user", "content": self.question}
        if not arguments:
            return [asked]
        call = {"function": {"name": self.name, "arguments": json.loads(arguments)}}
        called = {"role": "assistant", "content": "", "tool_calls": [call]}
        return [asked, called, {"role": "tool", "content": result}]

    def run(self, arguments: dict[str, Any]) -> str:
        """What a client's own code answers to a call. Fails the test for one that is none."""
        assert set(arguments) == {"word", "ticket"}
        assert arguments["word"] in self.words
        assert re.fullmatch(self.pattern.strip("^$"), arguments["ticket"])
        return json.dumps({arguments["ticket"]: self.result})


def _word(num_letters: int) -> str:
    return "".join(random.choices(string.ascii_lowercase, k=num_letters))

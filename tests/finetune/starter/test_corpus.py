import tomllib
from collections import Counter

import pytest

from services.finetune.starter.corpus import (
    PACKAGES_TOML,
    SourceFile,
    deduplicate,
    licence_of,
    refuse_text,
    select_files,
)

WORDS = " ".join(f"name_{i} = value_{i * 7 % 13}\n" for i in range(300))
LIMITS = {"min_file_bytes": 10, "max_file_bytes": 10_000}


@pytest.mark.parametrize(
    ("metadata", "allowed"),
    [
        ("License-Expression: MIT\n", True),
        ("License-Expression: BSD-3-Clause AND MIT\n", True),
        ("License-Expression: Apache-2.0 OR GPL-2.0-or-later\n", True),
        ("License-Expression: MIT AND LGPL-3.0-only\n", False),
        ("License-Expression: MPL-2.0\n", False),
        ("License: BSD\n", True),
        ("License: GPLv3\n", False),
        ("Classifier: License :: OSI Approved :: Apache Software License\n", True),
        ("Classifier: License :: OSI Approved :: GNU General Public License v3 (GPLv3)\n", False),
        ("Classifier: License :: OSI Approved\nLicense: MIT\n", True),
        ("Name: silent\n", False),
    ],
)
def test_licence(metadata: str, allowed: bool) -> None:
    assert licence_of(metadata)[0] is allowed


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import os\n\n\ndef f() -> int:\n    return 1\n", None),
        ("x = 1\n", "size"),
        ("def broken(:\n    pass\n", "syntax"),
        ("# This file is auto-generated, do not edit\nx = 1\n", "generated"),
        ("x = '" + "a" * 400 + "'\n", "long lines"),
        ("x = [\n" + "    123456, 789012,\n" * 20 + "]\n", "data"),
    ],
)
def test_refused_text_has_a_reason(text: str, reason: str | None) -> None:
    assert refuse_text(text, 10, 10_000) == reason


def test_package_limit_keeps_a_stable_sample() -> None:
    members = {f"p/{i}.py": f"value_{i} = '{'ab' * 25}'\n".encode() for i in range(50)}
    drops = Counter[str]()
    kept = select_files("p", members, LIMITS, 1000, drops)
    assert sum(len(f.text) for f in kept) <= 1000
    assert drops["package limit"] == 50 - len(kept)
    assert kept == select_files("p", members, LIMITS, 1000, drops)


def test_training_files_like_a_held_out_file_go() -> None:
    heldout = [SourceFile("held", "a.py", WORDS)]
    train = [
        SourceFile("copy", "a.py", WORDS),
        SourceFile("near", "a.py", WORDS.replace("value_3", "changed")),
        SourceFile("other", "a.py", WORDS[::-1]),
        SourceFile("again", "b.py", WORDS[::-1]),
    ]
    drops = Counter[str]()
    assert [f.package for f in deduplicate(heldout, train, drops)] == ["other"]
    assert drops == {"exact duplicate": 2, "near duplicate of a held-out file": 1}


def test_no_package_is_in_two_sections() -> None:
    data = tomllib.loads(PACKAGES_TOML.read_text())
    names = [
        r.split("==")[0] for s in ("train", "heldout", "reserved") for r in data[s]["packages"]
    ]
    assert [name for name, count in Counter(names).items() if count > 1] == []

from __future__ import annotations

import pytest

from services.datascan.languages import language_of


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("a/b.py", "Python"),
        ("B.PY", "Python"),
        ("x.ts", "TypeScript"),
        ("x.d.ts", "TypeScript"),
        ("x.tsx", "TSX"),
        ("x.h", "C"),
        ("x.hpp", "C++"),
        ("x.cs", "C#"),
        ("x.rs", "Rust"),
        ("x.go", "Go"),
        ("x.m", "Objective-C"),
        ("x.sql", "SQL"),
        ("x.yml", "YAML"),
        ("x.json", "JSON"),
        ("x.md", "Markdown"),
        ("x.php", "PHP"),
        ("Makefile", "Makefile"),
        ("Dockerfile", "Dockerfile"),
        ("CMakeLists.txt", "CMake"),
        ("notes.txt", "Text"),
        ("x.unheard", ""),
        ("py", ""),
    ],
)
def test_the_name_tells_the_language(path: str, language: str) -> None:
    assert language_of(path, "") == language


@pytest.mark.parametrize(
    ("line", "language"),
    [
        ("#!/usr/bin/env python3.11", "Python"),
        ("#!/bin/sh -e", "Shell"),
        ("#! /usr/bin/env -S node --x", "JavaScript"),
        ("#!/usr/bin/perl", "Perl"),
        ("#!", ""),
        ("#!/usr/bin/unheard", ""),
    ],
)
def test_a_first_line_tells_it_where_the_name_does_not(line: str, language: str) -> None:
    assert language_of("bin/tool", f"{line}\nrest") == language

"""The language of a file by its extension: few enough for labels, named as Linguist names them."""

from __future__ import annotations

from collections.abc import Mapping

OTHER = "other"

_EXTENSIONS = {
    "Assembly": ".asm .s",
    "C": ".c .h",
    "C#": ".cs",
    "C++": ".cc .cpp .cxx .hh .hpp .hxx",
    "CSS": ".css",
    "Clojure": ".clj .cljs",
    "Cuda": ".cu .cuh",
    "Dart": ".dart",
    "Dockerfile": "Dockerfile .dockerfile",
    "Elixir": ".ex .exs",
    "Erlang": ".erl",
    "F#": ".fs",
    "Fortran": ".f90",
    "Go": ".go",
    "Groovy": ".gradle .groovy",
    "HCL": ".hcl .tf",
    "HTML": ".htm .html",
    "Haskell": ".hs",
    "JSON": ".json",
    "Java": ".java",
    "JavaScript": ".cjs .js .jsx .mjs",
    "Julia": ".jl",
    "Jupyter Notebook": ".ipynb",
    "Kotlin": ".kt .kts",
    "Lua": ".lua",
    "Makefile": "Makefile .mk",
    "Markdown": ".md",
    "OCaml": ".ml .mli",
    "Objective-C": ".m .mm",
    "PHP": ".php",
    "Pascal": ".pas",
    "Perl": ".pl .pm",
    "PowerShell": ".ps1",
    "Protocol Buffer": ".proto",
    "Python": ".py .pyi",
    "R": ".r",
    "Ruby": ".rb",
    "Rust": ".rs",
    "SCSS": ".scss",
    "SQL": ".sql",
    "Scala": ".scala",
    "Shell": ".bash .sh .zsh",
    "Solidity": ".sol",
    "Svelte": ".svelte",
    "Swift": ".swift",
    "SystemVerilog": ".sv",
    "TOML": ".toml",
    "TeX": ".tex",
    "Text": ".txt",
    "TypeScript": ".cts .mts .ts .tsx",
    "VHDL": ".vhd .vhdl",
    "Verilog": ".v",
    "Vue": ".vue",
    "XML": ".xml",
    "YAML": ".yaml .yml",
    "Zig": ".zig",
}
_LANGUAGES: Mapping[str, str] = {
    extension.lower(): language
    for language, extensions in _EXTENSIONS.items()
    for extension in extensions.split()
}


def language_of(extension: str) -> str:
    """Of ".py"; a file without an extension has its name instead. `OTHER` for what is not known."""
    return _LANGUAGES.get(extension.lower(), OTHER)


def known_extension(extension: str) -> str:
    """The extension itself, or `OTHER`: the name of a file is nobody's business."""
    return extension.lower() if language_of(extension) != OTHER else OTHER

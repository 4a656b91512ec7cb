"""Code from elsewhere as comments, which a model reads before the file itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from services.gateway.dialects.tabby_requests import Snippet

# By the mark that begins a comment up to the end of its line: editors' identifiers of languages.
_LANGUAGES = {
    "#": "coffeescript dockerfile elixir julia makefile perl powershell python r ruby shellscript"
    " toml yaml",
    "//": "c cpp csharp cuda-cpp dart fsharp go groovy java javascript javascriptreact jsonc kotlin"
    " less objective-c objective-cpp php proto3 rust scala scss solidity swift typescript"
    " typescriptreact zig",
    "--": "ada elm haskell lua sql vhdl",
    "%": "erlang latex matlab prolog tex",
    ";": "asm clojure lisp scheme",
}
_MARKS: Mapping[str, str] = {
    language: mark for mark, languages in _LANGUAGES.items() for language in languages.split()
}


def commented(snippets: Sequence[Snippet], language: str, num_chars: int) -> str:
    """As many whole snippets as `num_chars` hold, each under its path; "" for a language whose
    comments are not known.
    """
    mark = _MARKS.get(language)
    if mark is None:
        return ""
    blocks = []
    for snippet in snippets:
        block = "".join(f"{mark} {line}".rstrip() + "\n" for line in _lines(snippet))
        if len(block) > num_chars:
            continue
        num_chars -= len(block)
        blocks.append(block)
    return "".join(blocks)


def _lines(snippet: Snippet) -> list[str]:
    path = f"Path: {snippet.filepath}\n" if snippet.filepath else ""
    return (path + snippet.body).splitlines()

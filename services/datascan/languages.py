"""A file's language by its name and first line, in GitHub Linguist's words.

The table `languages.jsonl` is languages.yml of Linguist 9.5 (MIT licence), taken from the npm
package linguist-languages: name, type, extensions, file names, interpreters. Not pygments or
identify: they know as many extensions, but by other names than those that users know from GitHub;
not enry-python: 18 MB of Go for one look-up. Where several languages share an extension, Linguist
looks at the content; here the one that stands first in `_PREFERRED` is taken.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

_TABLE = Path(__file__).with_name("languages.jsonl")
_PREFERRED = """
Python|JavaScript|TypeScript|TSX|C|C++|C#|Java|Go|Rust|Ruby|PHP|Perl|
Shell|HTML|CSS|SQL|Markdown|Text|JSON|YAML|INI|Java Properties|Objective-C|
Objective-C++|MATLAB|Scala|Kotlin|Swift|Haskell|OCaml|Elixir|Erlang|Lua|R|
D|F#|Fortran|Pascal|Prolog|Common Lisp|Scheme|Clojure|TeX|VBA|Assembly|
Verilog|GLSL|Makefile|XML Property List|XML|Roff|Roff Manpage|M4|Smarty|Puppet|
GDScript|Solidity|Mojo|Lean|Nix|Raku|Terra|Odin|Nu|Starlark|BitBake|GAP|
Modelica|Noir|Standard ML|Reason|ReScript|Q#|Red|RPM Spec|Smalltalk|Typst|
Vim script
"""
_SHEBANG = re.compile(r"#!\s*(?:\S*/)?env\s+(?:-\S+\s+|\w+=\S*\s+)*(\S+)|#!\s*(\S+)")
_MAX_SHEBANG_CHARS = 256  # the kernel's limit
_VERSION = re.compile(r"[\d.]+$")


@dataclass
class _Table:
    by_extension: dict[str, str] = field(default_factory=dict)
    by_file_name: dict[str, str] = field(default_factory=dict)
    by_interpreter: dict[str, str] = field(default_factory=dict)


def language_of(path: str, text: str) -> str:
    """ "" when neither the name nor a `#!` line tells."""
    table = _table()
    name = path.rsplit("/", 1)[-1]
    if found := table.by_file_name.get(name):
        return found
    if found := _by_shebang(text, table):
        return found
    parts = name.lower().split(".")
    # The longest extension first: ".d.ts" before ".ts".
    for start in range(1, len(parts)):
        if found := table.by_extension.get("." + ".".join(parts[start:])):
            return found
    return ""


def _by_shebang(text: str, table: _Table) -> str:
    if not text.startswith("#!"):
        return ""
    match = _SHEBANG.match(text[:_MAX_SHEBANG_CHARS].split("\n", 1)[0])
    if not match:
        return ""
    program = (match[1] or match[2]).rsplit("/", 1)[-1]
    known = table.by_interpreter
    return known.get(program) or known.get(_VERSION.sub("", program), "")


@cache
def _table() -> _Table:
    table = _Table()
    order = {name: number for number, name in enumerate(_PREFERRED.replace("\n", "").split("|"))}
    languages = [json.loads(line) for line in _TABLE.read_text().splitlines()]
    languages.sort(key=lambda language: (order.get(language["name"], len(order)), language["name"]))
    for language in languages:
        name = language["name"]
        for extension in language.get("extensions", ()):
            table.by_extension.setdefault(extension.lower(), name)
        for file_name in language.get("filenames", ()):
            table.by_file_name.setdefault(file_name, name)
        for interpreter in language.get("interpreters", ()):
            table.by_interpreter.setdefault(interpreter, name)
    return table

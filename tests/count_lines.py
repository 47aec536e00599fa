"""`python tests/count_lines.py keras_qa` counts the lines of code and of docstrings in a folder.

Comments and blank lines are neither.
"""

from __future__ import annotations

import ast
import io
import pathlib
import sys
import tokenize

# Tokens that are not code.
LAYOUT = {
    *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT),
    *(tokenize.ENCODING, tokenize.ENDMARKER),
}


def count(source: str) -> tuple[int, int]:
    """Returns the numbers of lines of code and of docstrings, both without blank lines."""
    docs: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            first = node.body[0] if node.body else None
            is_text = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
            if is_text and isinstance(first.value.value, str):
                docs.update(range(first.lineno, first.end_lineno + 1))
    lines = source.splitlines()
    code: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in LAYOUT:
            code.update(range(token.start[0], token.end[0] + 1))
    is_written = {number for number, line in enumerate(lines, 1) if line.strip()}
    return len((code - docs) & is_written), len(docs & is_written)


if __name__ == "__main__":
    files = sorted(pathlib.Path(sys.argv[1]).rglob("*.py"))
    counts = [count(path.read_text(encoding="utf-8")) for path in files]
    code, docs = map(sum, zip(*counts, strict=True))
    print(f"{code:,} lines of code, {docs:,} of docstrings, in {len(files)} files")

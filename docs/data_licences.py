"""`python docs/data_licences.py FOLDER` writes `DATA-LICENCES.md`.

`FOLDER` has a folder for each project whose documentation the weights learn from, with a file
`LICENCE.txt`: lines that begin with `Repository:`, `Licence:`, `Attribution:` or `Note:`.
"""

from __future__ import annotations

import pathlib
import re
import sys

# Not in `docs/`: README.md shows answers from that folder.
PAGE = pathlib.Path(__file__).resolve().parent.parent / "DATA-LICENCES.md"
# No weights learn from these: answers about their documents are measured.
EXCLUDED = ("18f-handbook", "carpentries-handbook", "civicactions-handbook")
URL = re.compile(r"https://github\.com/([^\s,)]+)")
INTRODUCTION = """\
# Licences of documentation

Weights that learn from questions about documentation learn from that of the {count} projects
below: `NOTICE` names such weights. The package contains none of these texts.
`python docs/data_licences.py FOLDER` writes this page.
"""
HEADER = """
| project | source | licence | attribution |
| --- | --- | --- | --- |
"""


def row(name: str, text: str) -> str:
    """Returns the row of a project, from its `LICENCE.txt`."""
    parts: dict[str, list[str]] = {"source": [], "licence": [], "attribution": []}
    notes = []
    for line in re.sub(r" (?=Attribution: )", "\n", text).strip().splitlines():
        key, _, value = (part.strip() for part in line.partition(":"))
        if key.startswith(("Repositor", "https")):
            parts["source"] += [
                f"[{path}](https://github.com/{path})" for path in URL.findall(line)
            ]
            parts["licence"] += re.findall(r", licence (.+)$", line)
        elif key.startswith("Licence"):
            parts["licence"].append(value.rstrip("."))
        elif key == "Attribution":
            parts["attribution"].append(value)
        elif key == "Note":
            notes.append(f"Note: {value}")
        else:
            raise ValueError(f"{name}: unknown line {line!r:.80}.")
    missing = [key for key, values in parts.items() if not all(values or [""])]
    if missing:
        raise ValueError(f"{name}: `LICENCE.txt` lacks {', '.join(missing)}.")
    source, licence = ", ".join(parts["source"]), "; ".join(parts["licence"])
    attribution = " ".join(parts["attribution"] + notes)
    cells = (cell.replace("|", r"\|") for cell in (name, source, licence, attribution))
    return f"| {' | '.join(cells)} |\n"


def page(folder: pathlib.Path) -> str:
    """Returns the page for the projects of a folder."""
    files = sorted(folder.glob("*/LICENCE.txt"))
    names = [path.parent.name for path in files]
    rows = [
        row(name, path.read_text("utf-8"))
        for name, path in zip(names, files, strict=True)
        if name not in EXCLUDED
    ]
    if not rows:
        raise ValueError(f"`{folder}` has no `*/LICENCE.txt`.")
    return INTRODUCTION.format(count=len(rows)) + HEADER + "".join(rows)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    PAGE.write_text(page(pathlib.Path(sys.argv[1])), "utf-8")

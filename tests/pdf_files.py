"""Writes small PDF files."""

from __future__ import annotations

import pathlib
from collections.abc import Iterable

FONTS = (
    "/BaseFont /Helvetica /Encoding /WinAnsiEncoding",
    "/BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding",
    "/BaseFont /Helvetica /ToUnicode 6 0 R",
)
# Of the third font: Chinese letters, a soft hyphen, a ligature, a letter and a digit of formulas.
MEANINGS = {"a": "水", "b": "火", "c": "。", "s": "\u00ad", "x": "\ufb03"}
MEANINGS |= {"y": "\U0001d465", "z": "\U0001d7d7"}
# A text with its position, font size, font and angle as a matrix.
UPRIGHT = (1, 0, 0, 1)


def at(x, y, text, size=10, font=0, matrix=UPRIGHT) -> bytes:
    """Returns the instructions that draw a text."""
    turned = " ".join(map(str, matrix))
    text = text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
    return f"BT /F{font} {size} Tf {turned} {x} {y} Tm ({text}) Tj ET\n".encode("latin-1")


def lines(text: str, x=50, y=700, leading=12, **options) -> bytes:
    """Returns the instructions that draw the lines of a text below each other."""
    pairs = enumerate(text.split("\n"))
    return b"".join(at(x, y - number * leading, line, **options) for number, line in pairs)


def stream(content: bytes) -> bytes:
    return b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content)


def write_pdf(
    path: pathlib.Path, pages: Iterable[bytes], entries: str = "", is_locked: bool = False
) -> None:
    """Writes pages of instructions, with further entries of each page."""
    objects = [b"", b""]
    objects += [f"<< /Type /Font /Subtype /Type1 {entry} >>".encode() for entry in FONTS]
    pairs = (
        f"<{ord(letter):02x}> <{meaning.encode('utf-16-be').hex()}>"
        for letter, meaning in MEANINGS.items()
    )
    objects.append(stream(f"{len(MEANINGS)} beginbfchar {' '.join(pairs)} endbfchar".encode()))
    fonts = " ".join(f"/F{number} {number + 3} 0 R" for number in range(len(FONTS)))
    numbers = []
    for content in pages:
        objects.append(stream(content))
        numbers.append(len(objects) + 1)
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {len(objects)} 0 R "
            f"/Resources << /Font << {fonts} >> >> {entries} >>".encode()
        )
    kids = " ".join(f"{number} 0 R" for number in numbers)
    objects[0] = b"<< /Type /Catalog /Pages 2 0 R >>"
    objects[1] = f"<< /Type /Pages /Kids [{kids}] /Count {len(numbers)} >>".encode()
    data, offsets = b"%PDF-1.7\n", []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    # No password has these hashes.
    key = f"<{'01' * 32}>"
    locked = f"/ID [{key} {key}] /Encrypt << /Filter /Standard /V 1 /R 2 /O {key} /U {key} /P -4 >>"
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    end = f"<< /Size {len(objects) + 1} /Root 1 0 R {locked if is_locked else ''} >>"
    start = len(data)
    data += b"xref\n0 %d\n0000000000 65535 f \n%strailer\n" % (len(objects) + 1, table)
    path.write_bytes(data + end.encode() + b"\nstartxref\n%d\n%%%%EOF\n" % start)

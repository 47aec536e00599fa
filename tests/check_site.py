"""`python check_site.py SITE`: every example of the reference is shown as code.

An example reads as quoted text unless it stands, with its lines indented, in a section of its own.
"""

from __future__ import annotations

import pathlib
import sys

pages = sorted(pathlib.Path(sys.argv[1], "reference").rglob("*.html"))
if not any('class="gp"' in page.read_text("utf-8") for page in pages):
    sys.exit("The reference has no examples.")
quoted = [str(page) for page in pages if "<blockquote>" in page.read_text("utf-8")]
if quoted:
    sys.exit(
        f"Examples are shown as quoted text: {', '.join(quoted)}. Indent them below `Examples:`."
    )

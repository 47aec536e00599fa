"""`python check_site.py SITE`: every example of the reference is shown as code.

An example reads as quoted text unless it stands, with its lines indented, in a section of its own.
"""

from __future__ import annotations

import pathlib
import sys

files = sorted(pathlib.Path(sys.argv[1], "reference").rglob("*.html"))
pages = {str(file): file.read_text("utf-8") for file in files}
if not any('class="gp"' in page for page in pages.values()):
    sys.exit("The reference has no examples.")
quoted = [name for name, page in pages.items() if "<blockquote>" in page]
if quoted:
    sys.exit(
        f"Examples are shown as quoted text: {', '.join(quoted)}. Indent them below `Examples:`."
    )

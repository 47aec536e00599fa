"""`python check_site.py SITE`: checks that examples are rendered as code and code is not too wide.

An example that is not indented in a section of its own is rendered as quoted text.
"""

from __future__ import annotations

import html
import pathlib
import re
import sys

# The most characters of code in a line on a screen 1,300 pixels wide.
WIDEST = 74

files = sorted(pathlib.Path(sys.argv[1], "reference").rglob("*.html"))
pages = {str(file): file.read_text("utf-8") for file in files}
if not any('class="gp"' in page for page in pages.values()):
    sys.exit("The reference has no examples.")
quoted = [name for name, page in pages.items() if "<blockquote>" in page]
if quoted:
    sys.exit(
        f"Examples are shown as quoted text: {', '.join(quoted)}. Indent them below `Examples:`."
    )

wide = []
for file in pathlib.Path(sys.argv[1]).rglob("*.html"):
    for block in re.findall(r"<pre>.*?</pre>", file.read_text("utf-8"), re.DOTALL):
        text = html.unescape(re.sub(r"<[^>]+>", "", block))
        if "reference" not in file.parts:
            wide += [f"{file}: {line}" for line in text.splitlines() if len(line) > WIDEST]
if wide:
    sys.exit("Code is wider than its column:\n" + "\n".join(wide))

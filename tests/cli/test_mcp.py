"""`keras-qa mcp` without the package mcp. With it: `tests/integrations/test_mcp.py`."""

import sys

from command_line import error_line


def test_without_the_package_the_command_names_the_extra(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "mcp_types", None)
    monkeypatch.delitem(sys.modules, "keras_qa.serving.mcp_server", raising=False)
    assert error_line(capsys, "mcp", tmp_path) == (
        "keras-qa: error: `keras-qa mcp` needs the package mcp 2.3 or later (import of mcp_types "
        'halted; None in sys.modules). Install it: `pip install "keras-qa[mcp]"`.\n'
    )

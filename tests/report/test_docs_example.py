"""The calls that the reference shows are there and give what it says."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[2] / "docs/reference/reports.md"


def test_the_calls_of_the_page() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(block, names)  # the page is ours
    said = {}
    for statement in ast.parse(block).body:
        if isinstance(statement, ast.Expr):
            code = ast.unparse(statement)
            said[code.split("(")[0]] = eval(code, names)
    assert said["parse_document"] == (0, 36)
    assert said["presence"] == "absent" and said["compare"] == "larger"
    assert 0.0 in said.values()


def test_the_keys_of_a_line_are_those_of_the_page(sagittal: Any, tmp_path: Path) -> None:
    path = tmp_path / "report.txt"
    path.write_text("No nodule.", "utf-8")
    line = json.loads(sagittal("parse", path).out)
    page = PAGE.read_text("utf-8")
    assert all(f"`{key}`" in page for key in line)

"""Docs check: generated references are current, links and commands in the docs exist.

python docs/check.py [--write]
"""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path

from sagittal.cli.app import VERBS
from sagittal.report.codec import schema
from sagittal.report.reading import Reading

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = ROOT / "docs/reference/reading.schema.json"


def reading_schema() -> str:
    """The JSON Schema of `Reading`, as text."""
    return json.dumps(schema(Reading), indent=1, ensure_ascii=False) + "\n"


def problems() -> list[str]:
    """What is wrong with the docs, one line each."""
    found = []
    if not SCHEMA.is_file() or SCHEMA.read_text("utf-8") != reading_schema():
        found.append(f"{SCHEMA.relative_to(ROOT)} is not what the dataclasses say; run: make docs")
    for verb in VERBS:
        if importlib.util.find_spec(f"sagittal.cli.{verb}") is None:
            found.append(f"cli/app.py lists the verb {verb!r}, which has no module")
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    for page in pages:
        text = page.read_text("utf-8")
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", text):
            if not (page.parent / target).exists():
                found.append(f"{page.relative_to(ROOT)} links to {target}, which does not exist")
        for verb in re.findall(r"^\s*(?:\$ )?sagittal ([a-z][a-z-]*)", text, re.M):
            if verb not in VERBS:
                found.append(f"{page.relative_to(ROOT)} shows `sagittal {verb}`, which is no verb")
    return found


def main() -> int:
    """Print the problems; 0 when there are none."""
    if "--write" in sys.argv[1:]:
        SCHEMA.parent.mkdir(parents=True, exist_ok=True)
        SCHEMA.write_text(reading_schema(), "utf-8")
    found = problems()
    print("\n".join(found) if found else "docs: all current")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

"""docs/reference/reading.schema.json is what the dataclasses say, and readings obey it."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from sagittal.errors import BadInput
from sagittal.report.codec import dumps, from_json, schema, to_json
from sagittal.report.reading import Reading

SCHEMA = Path(__file__).resolve().parents[2] / "docs/reference/reading.schema.json"


def test_the_file_is_generated_from_the_dataclasses() -> None:
    assert json.loads(SCHEMA.read_text("utf-8")) == schema(Reading), "run: make docs"


def test_a_reading_obeys_the_schema_and_comes_back(reading: Reading) -> None:
    document = json.loads(dumps(reading))
    jsonschema.Draft202012Validator.check_schema(schema(Reading))
    jsonschema.validate(document, schema(Reading), cls=jsonschema.Draft202012Validator)
    assert from_json(Reading, document) == reading
    for name in ("status", "scores", "findings", "refusals", "report", "models", "provenance"):
        assert name in document
    score = document["scores"][0]
    assert {"observation", "probability", "domain", "level"} <= set(score)
    assert set(score["observation"]) == {"key", "scheme", "code", "meaning"}
    assert {"text", "findings"} == set(document["report"]["sections"][0]["sentences"][0])


def test_the_schema_refuses_what_the_codec_refuses(reading: Reading) -> None:
    for path, value in ((("status",), "finished"), (("surprise",), 1), (("version",), "one")):
        document = to_json(reading)
        document[path[0]] = value
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(document, schema(Reading))
        with pytest.raises(BadInput):
            from_json(Reading, document)

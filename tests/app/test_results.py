"""The JSON of every command: the same keys, held to the shipped schema."""

from dataclasses import fields

import jsonschema
import pytest

from edgeferry.app.results import (
    Result,
    results_document,
    results_schema,
    write_document,
)


def validate(document: object) -> None:
    jsonschema.Draft202012Validator(results_schema()).validate(document)


def test_schema_is_a_valid_schema():
    jsonschema.Draft202012Validator.check_schema(results_schema())


def test_schema_knows_every_key_of_a_result():
    known = set(results_schema()["$defs"]["result"]["required"])
    assert known == {field.name for field in fields(Result)} - {"extra"}


def test_schema_refuses_a_result_without_a_key():
    document = results_document("demo", [Result("net.onnx")])
    validate(document)
    del document["results"][0]["kl"]
    with pytest.raises(jsonschema.ValidationError, match="kl"):
        validate(document)


def test_schema_refuses_shares_that_are_no_percent():
    with pytest.raises(jsonschema.ValidationError, match="101"):
        validate(results_document("demo", [Result("net.onnx", top1=101.0)]))


def test_keys_of_a_command_stand_beside_the_common_ones():
    result = Result("net.onnx", top1=50.0, extra={"top1_low": 40.0}).to_dict()
    assert (result["top1"], result["top1_low"]) == (50.0, 40.0)
    assert "extra" not in result


def test_document_without_a_number_for_json_is_not_written(tmp_path):
    document = results_document("demo", [Result("net.onnx", kl=float("nan"))])
    with pytest.raises(ValueError, match="JSON"):
        write_document(document, str(tmp_path / "results.json"))
    assert list(tmp_path.iterdir()) == []

"""JSON goes out with the digits that came in."""

import json
from decimal import Decimal

import pytest

from sessions_app.vapi.json import BadJson, dump_payload, load_payload, parse_json


@pytest.mark.parametrize(
    "number",
    ["0.1", "1E-7", "0.10", "1.0", "-0.0", "123456789.123456789123456789", "12345678901234567890123"],
)
def test_a_number_comes_out_as_it_came_in(number: str) -> None:
    text = f'{{"a":{{"b":[{number}]}}}}'

    assert dump_payload(load_payload(text)) == text


def test_a_stored_payload_reads_back_equal() -> None:
    payload = {"cost": Decimal("1e-07"), "name": "Zoë \u2028", "list": [None, True, {"deep": []}], "n": 2**70}

    assert load_payload(dump_payload(payload)) == payload


def test_a_payload_deeper_than_the_encoder_goes_is_written_all_the_same() -> None:
    text = '{"a":[1.50,' * 300 + "{}" + "]}" * 300

    assert dump_payload(load_payload(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "{", '{"a": NaN}', "[Infinity]", "-Infinity", "<html>", '{"a": 1}x', "[" * 100_000, "9" * 5000],
)
def test_what_is_no_json_is_refused_without_quoting_it(text: str) -> None:
    with pytest.raises(BadJson) as caught:
        parse_json(text)

    assert caught.value.__context__ is None
    assert "html" not in str(caught.value)


@pytest.mark.parametrize("text", ["[]", '"a"', "null", "1"])
def test_a_payload_is_an_object(text: str) -> None:
    with pytest.raises(BadJson):
        load_payload(text)


def test_a_decimal_that_is_no_number_is_not_written() -> None:
    with pytest.raises(TypeError):
        dump_payload({"a": Decimal("NaN")})


def test_exact_text_is_json_for_others_too() -> None:
    assert json.loads(dump_payload({"a": Decimal("1E-7")})) == {"a": 1e-07}

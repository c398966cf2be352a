"""No secret that Vapi's schema knows gets past, however it is written and wherever it stands."""

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessions_app.vapi.json import parse_json
from sessions_app.vapi.redaction import REDACTED, may_hold_secrets, redact

SECRET = "s3cr3t-value"

SECRET_KEYS = [
    "apiKey",
    "apiSecret",
    "authToken",
    "openAIKey",
    "ocpApimSubscriptionKey",
    "webhookUrl",
    "awsAccessKeyId",
    "awsSecretAccessKey",
    "accessKeyId",
    "secretAccessKey",
    "hmacAccessKey",
    "hmacSecret",
    "privateKey",
    "privateKeyId",
    "authPassword",
    "token",
    "secretKey",
    "clientSecret",
    "accessToken",
    "refreshToken",
    "twilioAuthToken",
    "twilioApiKey",
    "twilioApiSecret",
    "secret",
    "serverUrlSecret",
    "password",
]
KEPT_KEYS = [
    "promptTokens",
    "completionTokens",
    "cachedPromptTokens",
    "reasoningTokens",
    "maxTokens",
    "budgetTokens",
    "tokenCount",
    "tokenUri",
    "secretIsBase64",
]


def snake(key: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", key).lower()


def kebab(key: str) -> str:
    return snake(key).replace("_", "-").title()


def prefixed(key: str) -> str:
    return "x" + key[0].upper() + key[1:]


def nest(value: Any, depth: int) -> Any:
    for level in range(depth):
        value = [value] if level % 2 else {"tools": value}
    return value


def clean(body: str) -> Any:
    """As for a server message: the walk only where the look at the body asks for it."""
    return redact(parse_json(body)) if may_hold_secrets(body.encode()) else parse_json(body)


spelled = pytest.mark.parametrize(
    "spell", [str, snake, kebab, str.upper, prefixed, lambda key: "my_" + snake(key)]
)


@pytest.mark.parametrize("key", SECRET_KEYS)
@spelled
@pytest.mark.parametrize("depth", [0, 1, 2, 7, 60])
def test_a_secret_is_redacted_by_its_key(key: str, spell: Any, depth: int) -> None:
    shown = clean(json.dumps(nest({spell(key): SECRET, "name": "kept"}, depth)))

    assert shown == nest({spell(key): REDACTED, "name": "kept"}, depth)


@pytest.mark.parametrize("key", SECRET_KEYS)
def test_a_key_written_with_escapes_is_the_same_key(key: str) -> None:
    for place in range(len(key)):
        escaped = f"{key[:place]}\\u{ord(key[place]):04x}{key[place + 1 :]}"
        assert clean(f'{{"{escaped}": "{SECRET}"}}') == {key: REDACTED}
    everywhere = "".join(f"\\u{ord(letter):04X}" for letter in key)
    assert clean(f'{{"{everywhere}"\n:\t"{SECRET}"}}') == {key: REDACTED}


@pytest.mark.parametrize("key", SECRET_KEYS)
@pytest.mark.parametrize("indent", [None, 2])
def test_a_secret_in_json_inside_a_string_is_redacted(key: str, indent: int | None) -> None:
    arguments = json.dumps({"deep": [{key: SECRET}], "city": "Rome"}, indent=indent)
    twice = json.dumps({"arguments": arguments})
    shown = clean(json.dumps({"function": {"arguments": arguments}, "result": twice}))

    assert SECRET not in json.dumps(shown)
    assert json.loads(shown["function"]["arguments"]) == {"deep": [{key: REDACTED}], "city": "Rome"}


def test_a_lone_surrogate_beside_a_secret_in_json_inside_a_string_is_no_error() -> None:
    shown = clean(json.dumps({"content": json.dumps({"token": SECRET, "\ud800": "\ud800"})}))

    assert json.loads(shown["content"]) == {"token": REDACTED, "\ufffd": "\ufffd"}


def test_maps_and_numbers_in_json_inside_a_string_are_redacted() -> None:
    inner = {
        "headers": {"X-Any": SECRET},
        "pin": {"password": 1234},
        "parameters": [{"key": "k", "value": 5}],
    }
    shown = clean(json.dumps({"content": json.dumps(inner, indent=1)}))

    assert json.loads(shown["content"]) == {
        "headers": {"X-Any": REDACTED},
        "pin": {"password": REDACTED},
        "parameters": [{"key": "k", "value": REDACTED}],
    }


@pytest.mark.parametrize("key", SECRET_KEYS)
def test_a_secret_in_text_that_is_only_partly_json_is_redacted(key: str) -> None:
    told = f'The tool said {{"{key}": "{SECRET}", "city": "Rome"}} and left'
    cut_off = json.dumps({"city": "Rome", key: SECRET})[:-2]
    body = json.dumps({"a": told, "b": cut_off, "c": json.dumps({"x": told})[:-2]})

    assert SECRET not in json.dumps(clean(body))
    assert json.dumps(clean(body)).count("Rome") == 3


@pytest.mark.parametrize("key", KEPT_KEYS)
@pytest.mark.parametrize("spell", [str, snake, kebab])
def test_what_only_looks_alike_is_kept(key: str, spell: Any) -> None:
    value = nest({spell(key): 12, "text": "a token, a secret, a password"}, 3)

    assert redact(value) == value


@pytest.mark.parametrize("key", ["apiKey", "headers", "environmentVariables", "token"])
@pytest.mark.parametrize("nothing", ["", None])
def test_where_nothing_was_nothing_is_shown(key: str, nothing: object) -> None:
    assert redact({key: nothing}) == {key: nothing}


def test_a_secret_of_any_type_is_redacted_and_its_shape_stays() -> None:
    value = {"token": 1234, "password": ["a", ""], "secret": {"value": "x", "none": None}, "apiKey": True}

    assert redact(value) == {
        "token": REDACTED,
        "password": [REDACTED, ""],
        "secret": {"value": REDACTED, "none": None},
        "apiKey": REDACTED,
    }


@pytest.mark.parametrize("place", ["server", "model", "transport"])
@pytest.mark.parametrize("key", ["headers", "sipHeaders", "sip_headers", "Headers", "customHeaders"])
def test_headers_are_redacted_as_a_whole(place: str, key: str) -> None:
    body = json.dumps({place: {"url": "u", key: {"X-Anything": SECRET, "list": [SECRET]}}})

    assert clean(body) == {place: {"url": "u", key: {"X-Anything": REDACTED, "list": [REDACTED]}}}


def test_what_is_named_after_headers_is_kept() -> None:
    value = {"signatureHeader": "x-signature", "sipHeadersInReferToEnabled": True}

    assert redact(value) == value


@pytest.mark.parametrize("key", ["environmentVariables", "environment_variables"])
def test_environment_variables_keep_their_names_only(key: str) -> None:
    value = {key: [{"name": "REGION", "value": SECRET, "extra": SECRET}, SECRET]}

    assert clean(json.dumps(value)) == {
        key: [{"name": "REGION", "value": REDACTED, "extra": REDACTED}, REDACTED]
    }
    assert clean(json.dumps({key: {"REGION": SECRET}})) == {key: {"REGION": REDACTED}}


@pytest.mark.parametrize("indent", [None, 1])
def test_the_static_parameters_of_a_tool_keep_their_keys_only(indent: int | None) -> None:
    value = {"type": "function", "parameters": [{"key": "tenant", "value": {"a": SECRET}}]}

    assert clean(json.dumps(value, indent=indent)) == {
        "type": "function",
        "parameters": [{"key": "tenant", "value": {"a": REDACTED}}],
    }


def test_the_schema_of_a_tool_is_kept() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string", "default": "Rome"}}, "required": []}
    value = {"function": {"name": "find", "parameters": schema}}

    assert redact(value) == value
    assert not may_hold_secrets(json.dumps(value).encode())


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:pw@host/x", "https://[redacted]@host/x"),
        ("https://tok3n@host", "https://[redacted]@host"),
        ("postgres://u:p%40w@db:5432/n", "postgres://[redacted]@db:5432/n"),
        ("wss://h/p?a=1&token=x&b=2", "wss://h/p?a=1&token=[redacted]&b=2"),
        ("https://h/?api_key=x#access_token=y", "https://h/?api_key=[redacted]#access_token=[redacted]"),
        ("https://h/?X-Amz-Signature=x&X-Amz-Date=2", "https://h/?X-Amz-Signature=[redacted]&X-Amz-Date=2"),
        ("https://h/?X%2DAmz%2DSignature=x", "https://h/?X%2DAmz%2DSignature=[redacted]"),
        ("https://h/?%73ig=x", "https://h/?%73ig=[redacted]"),
        ("https://h/?X-Amz-Credential=AK%2F1&e=1", "https://h/?X-Amz-Credential=[redacted]&e=1"),
        ("https://h/?X-Amz-Security-Token=x", "https://h/?X-Amz-Security-Token=[redacted]"),
        ("https://h/?X-Goog-Signature=x", "https://h/?X-Goog-Signature=[redacted]"),
        ("https://h/?sv=1&sig=x%3D", "https://h/?sv=1&sig=[redacted]"),
        ("https://h/?Signature=x&Expires=1", "https://h/?Signature=[redacted]&Expires=1"),
        ("https://h/?a=1&amp;Signature=x", "https://h/?a=1&amp;Signature=[redacted]"),
        ("sip:bob:pw@host:5060", "sip:bob:[redacted]@host:5060"),
        ("SIPS:bob:pw@host", "SIPS:bob:[redacted]@host"),
    ],
)
def test_an_address_loses_its_secret_part_only(url: str, shown: str) -> None:
    body = json.dumps({"serverUrl": url, "said": f"See {url} or ask."})

    assert clean(body) == {"serverUrl": shown, "said": f"See {shown} or ask."}
    assert clean(body.replace("/", "\\/")) == clean(body)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://h\\/p?token=v", "https://h\\/p?token=[redacted]"),
        ('"url": "https:\\/\\/u:pw@h\\/p?sig=v', '"url": "https:\\/\\/[redacted]@h\\/p?sig=[redacted]'),
        ("see https:\\/\\/h\\/?a=1&jwt=v", "see https:\\/\\/h\\/?a=1&jwt=[redacted]"),
    ],
)
def test_slashes_of_an_address_may_be_escaped(text: str, shown: str) -> None:
    """As in JSON that was cut off, or stands among words."""
    assert redact(text) == shown
    assert redact({"said": text}) == {"said": shown}


@pytest.mark.parametrize(
    "text",
    [
        "https://host/a/user@example.org?page=2&limit=3#top",
        "https://h/?promptTokens=3&tokenUri=x&signed=1&q=",
        "https://h/?token=",
        "https://@h/",
        "mailto:a@b.c",
        "sip:bob@host:5060",
        "sip:+4930@host;transport=tcp",
        "at 10:30 my email is a@b.c",
        'he said "token": and nothing else',
    ],
)
def test_an_address_without_a_secret_is_kept(text: str) -> None:
    assert redact([text]) == [text]


def test_what_is_given_is_not_changed() -> None:
    value = {"apiKey": "a", "tools": [{"headers": {"b": "c"}}]}
    before = json.dumps(value)

    redact(value)

    assert json.dumps(value) == before


def test_plain_conversations_need_no_walk() -> None:
    body = {"messages": [{"role": "user", "content": "my token is lost, the key too"}], "promptTokens": 3}

    assert not may_hold_secrets(json.dumps(body).encode())


def test_huge_hostile_text_takes_no_time() -> None:
    hostile = ["\\" * 200_000, "://" * 100_000, "sip:" * 100_000, '"' * 200_000, "a" * 300_000 + "://"]
    hostile += ["://h?" + "&" * 200_000, '"token":"' + "\\" * 200_000, '"token' + " " * 200_000]

    for text in hostile:
        redact({"text": text})


words = st.sampled_from(
    [
        *SECRET_KEYS,
        *KEPT_KEYS,
        "headers",
        "parameters",
        "environmentVariables",
        "name",
        "value",
        "a b",
        "://u:p@h",
    ]
)
texts = words | st.text(max_size=8) | words.map(lambda key: json.dumps({key: "v"}, indent=1))
trees = st.recursive(
    texts | st.none() | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=400, deadline=None)
@given(trees, st.sampled_from([None, 2]), st.booleans())
def test_the_look_at_the_body_never_misses_what_the_walk_would_change(
    tree: Any, indent: int | None, ascii_only: bool
) -> None:
    body = json.dumps(tree, indent=indent, ensure_ascii=ascii_only).encode(errors="surrogatepass")

    assert may_hold_secrets(body) or redact(tree) == tree


addresses = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["https://", "sip:", "SIPS:", "x://", "://", "https:", "10:30 "]),
    st.sampled_from(["", "u@", "u:p@", "u:p%40@"]),
    st.sampled_from(["h", "", "h/p", "h\\/"]),
    st.sampled_from(["", "?token=v", "#a=1&sig=v", ";key=v", "?a=1", "&amp;jwt=v", "?%73ig=v", "?token="]),
)
told = (
    texts | addresses | st.builds("{}{}{}".format, st.sampled_from(["", '"', "{"]), addresses, st.just('"'))
)
quoted = told | st.dictionaries(texts, told, max_size=2).map(json.dumps)
nested = st.recursive(
    quoted | quoted.map(lambda text: json.dumps([text])) | quoted.map(lambda text: text[:-2]) | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=15,
)


def alone(value: Any) -> Any:
    """Redacted part by part, so that no text stands beside another."""
    if isinstance(value, dict):
        return {
            key: alone(inner) if redact({key: ["x"]}) == {key: ["x"]} else redact({key: inner})[key]
            for key, inner in value.items()
        }
    return [alone(inner) for inner in value] if isinstance(value, list) else redact(value)


@settings(max_examples=500, deadline=None)
@given(nested)
def test_what_stands_beside_a_text_changes_nothing_for_it(tree: Any) -> None:
    assert redact(tree) == alone(tree)


@settings(max_examples=200, deadline=None)
@given(nested)
def test_what_is_given_is_not_changed_and_shared_where_it_holds_no_secret(tree: Any) -> None:
    before = json.dumps(tree)
    clean = redact(tree)

    assert json.dumps(tree) == before
    assert (clean is tree) == (clean == tree)
    if isinstance(tree, dict):
        assert list(clean) == list(tree)
        assert all(clean[key] is tree[key] for key in tree if clean[key] == tree[key])


def test_a_secret_is_found_as_deep_as_records_go_and_no_further_is_looked() -> None:
    assert redact(nest({"token": SECRET}, 400)) == nest({"token": REDACTED}, 400)
    with pytest.raises(RecursionError):
        redact(nest({"token": SECRET}, 401))


@settings(max_examples=200, deadline=None)
@given(trees)
def test_redacting_twice_changes_nothing_more(tree: Any) -> None:
    once = redact(tree)

    assert redact(once) == once

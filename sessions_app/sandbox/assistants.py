"""An organization's assistants, squads and phone numbers, with fake secrets wherever Vapi may have real ones."""

from dataclasses import dataclass
from hashlib import blake2b
from typing import TypeAlias

from sessions_app.sandbox.clock import DAY, write_us
from sessions_app.sandbox.costs import MODELS
from sessions_app.sandbox.seeds import Ids, seed_of

MARK = "SANDBOX-SECRET"  # every secret value of the sandbox contains it, so that tests can look for leaks

Payload: TypeAlias = dict[str, object]

_NAMES = (
    "Maple - dental front desk",
    "Concierge at the Harbour Hotel",
    "Lumen internet support",
    "Parcel finder",
    "Card hotline, nights",
)
_FIRST_MESSAGES = (
    "Brightwater Dental, this is Maple. How can I help?",
    "Harbour Hotel, good day. What can I do for you?",
    "Lumen support, I'm listening. What seems to be the trouble?",
    "Hello, Swift Parcels here. Do you have your parcel number at hand?",
    "Card hotline. Is your card safe, or shall we block it first?",
)


def secret(*names: str) -> str:
    """A marked fake secret, different for every place it stands in."""
    return f"{MARK}-{names[-1]}-{blake2b('/'.join(names).encode(), digest_size=6).hexdigest()}"


def _server(owner: str) -> Payload:
    return {
        "url": f"https://hooks:{secret(owner, 'url-password')}@hooks.example.com/vapi",
        "timeoutSeconds": 20,
        "secret": secret(owner, "server-secret"),
        "headers": {"X-Api-Key": secret(owner, "server-header"), "X-Tenant": secret(owner, "tenant-header")},
    }


def _tools(owner: str) -> list[Payload]:
    parameters = {
        "type": "object",
        "properties": {"reference": {"type": "string"}},
        "required": ["reference"],
    }
    return [
        {
            "type": "function",
            "function": {"name": "find_appointment", "parameters": parameters},
            "server": _server(owner + "/function"),
            "parameters": [{"key": "tenant", "value": secret(owner, "parameter")}],
        },
        {
            "type": "code",
            "code": "export default async () => ({ok: true})",
            "environmentVariables": [{"name": "CRM_TOKEN", "value": secret(owner, "environment")}],
        },
        {"type": "transferCall", "destinations": [_sip_destination(owner)]},
        {
            "type": "apiRequest",
            "name": "weather",
            "method": "GET",
            "url": f"https://files.example.com/menu.pdf?X-Amz-Signature={secret(owner, 'signature')}&lang=en",
        },
    ]


def _sip_destination(owner: str) -> Payload:
    return {
        "type": "sip",
        "sipUri": "sip:desk@voice.example.com",
        "sipHeaders": {"X-Account": secret(owner, "sip-header")},
        "description": "The front desk",
    }


def _credentials(owner: str) -> list[Payload]:
    return [
        {"provider": "openai", "apiKey": secret(owner, "api-key"), "name": "LLM"},
        {
            "provider": "twilio",
            "accountSid": "AC00000000000000000000000000000000",
            "authToken": secret(owner, "auth-token"),
            "apiKey": secret(owner, "twilio-key"),
            "apiSecret": secret(owner, "twilio-secret"),
        },
        {
            "provider": "custom-credential",
            "authenticationPlan": {
                "type": "oauth2",
                "url": "https://login.example.com/token",
                "clientId": "front-desk",
                "clientSecret": secret(owner, "client-secret"),
            },
        },
        {
            "provider": "s3",
            "awsAccessKeyId": secret(owner, "aws-id"),
            "awsSecretAccessKey": secret(owner, "aws"),
        },
        {
            "provider": "gcp",
            "gcpKey": {"privateKeyId": secret(owner, "key-id"), "privateKey": secret(owner, "pem")},
        },
    ]


def transient_assistant(owner: str, business: int) -> Payload:
    """What a session carries as `assistant` when none was saved: a whole assistant without an id."""
    provider, model, *_ = MODELS[business]
    return {
        "name": _NAMES[business],
        "firstMessage": _FIRST_MESSAGES[business],
        "model": {
            "provider": provider,
            "model": model,
            "maxTokens": 250,
            "temperature": 0.4,
            "messages": [{"role": "system", "content": f"You are {_NAMES[business]}."}],
            "headers": {"Authorization": f"Bearer {secret(owner, 'model-header')}"},
            "tools": _tools(owner),
        },
        "voice": {"provider": "11labs", "voiceId": "sarah"},
        "transcriber": {"provider": "deepgram", "model": "nova-3", "language": "multi"},
        "server": _server(owner),
        "credentials": _credentials(owner),
        "maxDurationSeconds": 900,
    }


def overrides(owner: str) -> Payload:
    """assistantOverrides of a session."""
    return {
        "variableValues": {"branch": "Harbour", "tier": "gold"},
        "server": _server(owner),
        "model": {
            "provider": "custom-llm",
            "model": "house-model",
            "url": f"https://llm.example.com/v1?token={secret(owner, 'url-token')}&sig={secret(owner, 'url-sig')}",
            "headers": {"X-Key": secret(owner, "override-header")},
        },
        "credentials": _credentials(owner),
    }


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What an organization has set up; lists are in order of createdAt."""

    assistants: list[Payload]
    squads: list[Payload]
    phone_numbers: list[Payload]

    def ids(self, kind: str) -> list[str]:
        return [str(row["id"]) for row in getattr(self, kind)]


def _identity(ids: Ids, index: int, org_id: str, end_us: int) -> Payload:
    created = end_us - (200 - 20 * index) * DAY
    stamps = {"createdAt": write_us(created), "updatedAt": write_us(created + 9 * DAY + index * 1001000)}
    return {"id": ids.of(index), "orgId": org_id, **stamps}


def make_catalogue(key: str, seed: str, org_id: str, end_us: int) -> Catalogue:
    # Indexes stay below 31: ids from there on need not look like UUIDs.
    def identity(kind: str, index: int) -> Payload:
        return _identity(Ids(seed_of(seed, key, kind), kind), index, org_id, end_us)

    assistants = [
        {**identity("assistant", n), **transient_assistant(f"{key}/assistant{n}", n)}
        for n in range(len(_NAMES))
    ]
    squads: list[Payload] = [
        {**identity("squad", 0), "name": "Travel desk", "members": _members(key, assistants[1:3])},
        {**identity("squad", 1), "name": "Billing and cards", "members": _members(key, assistants[3:5])},
    ]
    return Catalogue(
        assistants, squads, [{**identity("phone", n), **_phone(key, n, assistants)} for n in range(3)]
    )


def _members(key: str, assistants: list[Payload]) -> list[Payload]:
    return [
        {"assistantId": row["id"], "assistantOverrides": overrides(f"{key}/{row['id']}")}
        for row in assistants
    ]


def _phone(key: str, index: int, assistants: list[Payload]) -> Payload:
    owner = f"{key}/phone{index}"
    common: Payload = {"status": "active", "assistantId": assistants[index]["id"], "server": _server(owner)}
    if index == 2:
        authentication = {"username": "front-desk-registration", "password": secret(owner, "sip-password")}
        return {
            "provider": "vapi",
            "name": "SIP line",
            "sipUri": "sip:harbour@sip.example.com",
            "authentication": authentication,
            **common,
        }
    return {
        "provider": "twilio",
        "name": ("Main line", "Night line")[index],
        "number": ("+14155550100", "+442079460018")[index],
        "twilioAccountSid": "AC00000000000000000000000000000000",
        "twilioAuthToken": secret(owner, "twilio-auth-token"),
        "twilioApiKey": secret(owner, "twilio-api-key"),
        "twilioApiSecret": secret(owner, "twilio-api-secret"),
        "fallbackDestination": _sip_destination(owner),
        **common,
    }

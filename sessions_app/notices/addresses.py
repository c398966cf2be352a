"""Owns where a notice may be sent: https, to the outside; what is private only where the settings name it.

Otherwise whoever may add a channel could let this server ask others inside its network. An address is looked at when
it is saved, for people's sake, and again when a connection is made: a name may lead elsewhere by then.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
# Networks of IPv6 in which an IPv4 address is embedded: its last 32 bits.
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def check_webhook(address: str) -> None:
    """Raise ValidationError where a webhook can't have this address, whatever its name leads to."""
    try:
        parts = urlsplit(address)
        host, problem = parts.hostname, bool(parts.username or parts.password or parts.fragment)
        problem = problem or parts.port == 0
    except ValueError:
        host, problem = None, True
    if not host or problem or not address.isascii() or any(letter.isspace() for letter in address):
        raise ValidationError("Enter an address such as https://hooks.example.com/services/...")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_own_machine(host)):
        raise ValidationError("Notices are sent over https only.")
    if _is_address(host) and not may_connect(host, host):
        raise ValidationError("This is a private address. NOTICE_PRIVATE_HOSTS can allow it.")


def may_connect(host: str, address: str) -> bool:
    """Say whether a connection may be made to `address`, which the name `host` led to."""
    if host.lower() in settings.NOTICE_PRIVATE_HOSTS:
        return True
    ip = _plain(address)
    return (ip.is_global and not ip.is_multicast) or (settings.DEVELOPMENT and ip.is_loopback)


def _plain(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return the address, or the IPv4 address that it stands for."""
    ip = ipaddress.ip_address(address)
    if ip.version == 4:
        return ip
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


def _is_own_machine(host: str) -> bool:
    return settings.DEVELOPMENT and host in _LOOPBACK


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True

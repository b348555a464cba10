"""What an honest person puts into a form, so that one absurd field is all that is wrong with it."""

from __future__ import annotations

from random import Random

from tests.console.factories import PASSWORD
from tests.fuzz.targets import Ids, filled

# Fields that a form lets empty, and that name what the other fields leave out.
EMPTY = ("find", "accounts", "groups", "applications", "new_ccn", "static_ip", "origin", "user_permissions")
VALUES = {
    "name": ("a-name", "office", "another-1"),
    "description": ("Of the office",),
    "public_host": ("gw.example.org", "203.0.113.9"),
    "listen_address": ("0.0.0.0",),
    "client_port": ("8443",),
    "tunnel_port": ("9443",),
    "start": ("22:00", ""),
    "end": ("23:30", ""),
    "upgrade_start": ("22:00", ""),
    "upgrade_end": ("23:30", ""),
    "minutes": ("5",),
    "recipients": ("duty@corp.example",),
    "url": ("https://hooks.example.com/x",),
    "account_quota": ("10", "20"),
    "cidrs": ("10.77.0.0/24", "10.78.0.0/24\n10.79.0.0/24"),
    "cidr": ("172.21.0.0/16",),
    "networks": ("172.22.0.0/16",),
    "dns1": ("10.0.0.53", ""),
    "dns2": ("10.0.0.54", ""),
    "username": ("anna-berg", "bert.x"),
    "email": ("anna@example.org",),
    "password": ("Summer-2027", ""),
    "new_password": ("Summer-2027", ""),
    "bandwidth_kbps": ("2000",),
    "users": ("all",),
    "scope": ("all",),
    "connectors": ("50",),
    "valid_until": ("2099-01-01", ""),
    "priority": ("7",),
    "addresses": ("wiki.corp.example", "10.9.8.0/24"),
    "ports": ("80, 443",),
    "tags": ("office", ""),
    "rules": ("email Equal *@corp.example", ""),
    "old_password": (PASSWORD,),
    **dict.fromkeys(("new_password1", "new_password2", "password1", "password2"), ("a brand new battery",)),
    "text": ("username,email\ncarl-x,carl@example.org\n",),
    "threshold": ("80",),
    "hold_seconds": ("60",),
    "hysteresis_percent": ("10",),
    "remind_minutes": ("60", "0"),
    "group_from": ("5",),
    "confirm": ("on",),
}


def usual(rng: Random, name: str, known: list[str], ids: Ids) -> str:
    """Return what an honest person would put into a field: a value that the page offers, or one of its kind."""
    if name in EMPTY and rng.random() < 0.8:
        return ""
    offered = [value for value in known if value]
    if name in VALUES and (not offered or rng.random() < 0.5):
        return rng.choice(VALUES[name])
    return filled(rng.choice(offered), ids) if offered else rng.choice(("", "a-name", "10"))

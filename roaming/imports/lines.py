"""Reader of a CSV file of client accounts: columns, lines, and what is wrong with each line.

The rules are those of ``account_create``, checked for many lines at once in a handful of queries, so that everything
that is wrong can be said before anything is imported. The service checks the rules again when it creates accounts.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import QuerySet

from console.core.errors import Invalid
from console.exchange import cells, reading
from roaming.accounts import services as accounts
from roaming.instances.models import Instance
from roaming.networks import holds
from roaming.rules import PASSWORD
from roaming.sessions.models import UserSession

DEFAULT_BANDWIDTH = 2000
# Column → meaning of the column, for the page and the template.
COLUMNS = {
    "username": "User name, 7–33 letters, digits, “_”, “@”, “.” or “-”. Blank: the e-mail address.",
    "email": "E-mail address; required.",
    "password": "8–32 letters, digits, “_”, “@”, “.” or “-”. Blank: one is generated and handed out once.",
    "bandwidth_kbps": f"Bandwidth in kbit/s, 1–{settings.BANDWIDTH_MAX_KBPS:,}. Blank: {DEFAULT_BANDWIDTH}.",
    "static_ip": "Client IP inside the instance's CIDR blocks. Leave blank to lease an address at each log-on.",
}
TEMPLATE = (
    ("alice.ant@example.com", "alice.ant@example.com", "", "2000", ""),
    ("bob-bee", "bob@example.com", "Winter-2026", "", ""),
)
# Further columns of an exported list; an import passes over them, so that the list can be imported elsewhere.
PASSED_OVER = (
    "status",
    "client_ip",
    "online",
    "traffic_this_month",
    "roamed_from",
    "roamed_to",
    "last_logon",
    "created",
)
SHEET = reading.Sheet(
    "accounts",
    tuple(COLUMNS),
    ("email",),
    most_rows=20_000,
    most_bytes=4 * 2**20,
    passed_over=PASSED_OVER,
)


@dataclass
class Line:
    """Account to be made. ``number``: its line in the file; ``problems``: sentences, none when the line is good."""

    number: int
    username: str
    email: str
    password: str = field(repr=False)
    bandwidth_kbps: int
    static_ip: str | None
    problems: list[str] = field(default_factory=list)


def read(text: str) -> list[Line]:
    """Return the lines of a file, each with its own problems. Raises ``Invalid`` for a file that holds no accounts."""
    return [_line(row) for row in reading.read(text, SHEET).rows]


def _line(row: reading.Row) -> Line:
    given, problems = row.cells, list(row.problems)
    number_of_kbps = DEFAULT_BANDWIDTH
    if given["bandwidth_kbps"]:
        try:
            number_of_kbps = cells.whole(given["bandwidth_kbps"])
        except Invalid as refusal:
            # A bandwidth that is no number is as wrong as one out of range.
            number_of_kbps = 0
            problems.append(f"bandwidth_kbps: {refusal.message}")
    line = Line(
        number=row.number,
        username=given["username"] or given["email"],
        email=given["email"],
        password=given["password"],
        bandwidth_kbps=number_of_kbps,
        static_ip=given["static_ip"] or None,
        problems=problems,
    )
    problems += accounts.field_problems(
        username=line.username, email=line.email, bandwidth_kbps=line.bandwidth_kbps
    )
    if line.password:
        try:
            PASSWORD(line.password)
        except ValidationError as error:
            problems += error.messages
    return line


def check(instance: Instance, lines: list[Line]) -> list[Line]:
    """Add what is wrong with the lines together and in this instance: names, addresses, quota. Returns the lines."""
    blocks = instance.blocks()
    if not blocks:
        raise Invalid(
            f"{instance.name} has no private CIDR block yet. Add one in its network configuration.",
            code="SAG.CidrEmpty",
        )
    _check_names(instance, lines)
    _check_addresses(instance, lines)
    room = max(0, instance.account_quota - instance.accounts.count())
    for line in [line for line in lines if not line.problems][room:]:
        line.problems.append(
            f"The quota of {instance.account_quota:,} client accounts leaves room for {room:,} more."
        )
    return lines


def _check_names(instance: Instance, lines: list[Line]) -> None:
    keys = {line.username.lower() for line in lines}
    taken = _among(instance.accounts.order_by(), "username_key", keys)
    first: dict[str, int] = {}
    for line in lines:
        key = line.username.lower()
        if key in taken:
            line.problems.append(f"{instance.name} has a client account named {line.username} already.")
        elif line.username and key in first:
            line.problems.append(f"Line {first[key]} has the user name {line.username} already.")
        first.setdefault(key, line.number)


def _check_addresses(instance: Instance, lines: list[Line]) -> None:
    fixed = [line for line in lines if line.static_ip]
    for line in fixed:
        try:
            line.static_ip = str(IPv4Address(line.static_ip or ""))
        except AddressValueError:
            line.problems.append("Static IP must be an IPv4 address, such as 10.0.0.5.")
            line.static_ip = None
    fixed = [line for line in fixed if line.static_ip]
    wanted = {line.static_ip or "" for line in fixed}
    owned = _among(instance.accounts.order_by(), "static_ip", wanted)
    live = UserSession.objects.filter(instance=instance, ended_at=None).order_by()
    leased = _among(live, "client_ip", wanted)
    blocks = instance.blocks()
    first: dict[str, int] = {}
    for line in fixed:
        address = line.static_ip or ""
        if not holds(blocks, address):
            line.problems.append(f"{address} is not a usable address of {', '.join(map(str, blocks))}.")
        elif address in owned:
            line.problems.append(f"{address} belongs to another client account.")
        elif address in leased:
            line.problems.append(
                f"A live session has {address}. Choose another address, or end that session first."
            )
        elif address in first:
            line.problems.append(f"{address} is the static IP of line {first[address]} already.")
        first.setdefault(address, line.number)


def _among(rows: QuerySet, name: str, wanted: Iterable[str]) -> set[str]:
    """Return those of ``wanted`` that occur in the column ``name``; asked in portions that both databases take."""
    values = sorted(wanted)
    found: set[str] = set()
    for start in range(0, len(values), 1000):
        found.update(
            rows.filter(**{f"{name}__in": values[start : start + 1000]}).values_list(name, flat=True)
        )
    return found

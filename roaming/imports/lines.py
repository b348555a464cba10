"""Reader of a CSV file of client accounts: columns, lines, and what is wrong with each line.

The rules are those of ``account_create``, checked for many lines at once in a handful of queries, so that everything
that is wrong can be said before anything is imported. The service checks the rules again when it creates accounts.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import QuerySet

from console.core.errors import Invalid
from console.kit.csv_export import uncell
from roaming.accounts import services as accounts
from roaming.instances.models import Instance
from roaming.networks import holds
from roaming.rules import PASSWORD
from roaming.sessions.models import UserSession

MOST_LINES = 20_000
MOST_BYTES = 4 * 2**20
DEFAULT_BANDWIDTH = 2000
# Column → meaning of the column, for the page and the template.
COLUMNS = {
    "username": "User name, 7–33 letters, digits, “_”, “@”, “.” or “-”. Blank: the e-mail address.",
    "email": "E-mail address; required.",
    "password": "8–32 letters, digits, “_”, “@”, “.” or “-”. Blank: one is generated and handed out once.",
    "bandwidth_kbps": f"Bandwidth in kbit/s, 1–{settings.BANDWIDTH_MAX_KBPS:,}. Blank: {DEFAULT_BANDWIDTH}.",
    "static_ip": "Client IP inside the instance's CIDR blocks. Blank: leased at each log-on.",
}
TEMPLATE = (
    ("alice.ant@example.com", "alice.ant@example.com", "", "2000", ""),
    ("bob-bee", "bob@example.com", "Winter-2026", "", ""),
)
# Further columns of an exported list; an import passes over them, so that the list can be imported elsewhere.
PASSED_OVER = {
    "status",
    "client_ip",
    "online",
    "traffic_this_month",
    "roamed_from",
    "roamed_to",
    "last_logon",
    "created",
}


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
    """Return the lines of a file, each with the problems of the line by itself. Raises ``Invalid`` for another file."""
    rows = _rows(text)
    header = next(rows, None)
    if header is None:
        raise Invalid("The file is empty. Its first line names the columns.", field="file")
    names = _names(header[1])
    lines = [_line(number, dict(zip(names, cells, strict=False)), cells, names) for number, cells in rows]
    if not lines:
        raise Invalid("The file has no line below the one that names the columns.", field="file")
    return lines


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, cells) of the lines that are not empty."""
    text = text.removeprefix("\ufeff")
    if "\0" in text:
        raise Invalid("The file is not text: it holds NUL characters.", field="file")
    first = text.lstrip().partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    found = 0
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                found += 1
                if found > MOST_LINES + 1:
                    raise Invalid(f"The file has more than {MOST_LINES:,} accounts. Split it.", field="file")
                yield reader.line_num, [uncell(cell.strip()) for cell in cells]
    except csv.Error as error:
        raise Invalid(f"Line {reader.line_num} is no CSV: {error}.", field="file") from error


def _names(header: list[str]) -> list[str]:
    names = [name.strip().lower().replace(" ", "_").replace("-", "_") for name in header]
    legal = ", ".join(COLUMNS)
    for name in names:
        if name not in COLUMNS and name not in PASSED_OVER:
            raise Invalid(
                f"The first line names an unknown column “{name[:40]}”; legal are {legal}.", field="file"
            )
        if names.count(name) > 1:
            raise Invalid(f"The first line names the column {name} twice.", field="file")
    if "email" not in names:
        raise Invalid(f"The first line names no column email; legal are {legal}.", field="file")
    return names


def _line(number: int, cells: dict[str, str], given: list[str], names: list[str]) -> Line:
    email = cells.get("email", "")
    bandwidth, problems = cells.get("bandwidth_kbps", ""), []
    if len(given) > len(names):
        problems.append(f"The line has {len(given)} cells; the first line names {len(names)} columns.")
    number_of_kbps = DEFAULT_BANDWIDTH
    if bandwidth:
        # A bandwidth that is no number is as wrong as one out of range.
        number_of_kbps = (
            int(bandwidth) if bandwidth.isascii() and bandwidth.isdigit() and len(bandwidth) < 9 else 0
        )
    line = Line(
        number=number,
        username=cells.get("username") or email,
        email=email,
        password=cells.get("password", ""),
        bandwidth_kbps=number_of_kbps,
        static_ip=cells.get("static_ip") or None,
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
            line.problems.append(f"The user name {line.username} is that of line {first[key]} already.")
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
            line.problems.append(f"{address} is leased to somebody at present.")
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

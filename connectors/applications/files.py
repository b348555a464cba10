"""Applications as CSV: one a line, known by name; semicolons separate several values of a cell."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from django.db import transaction

from connectors.applications import services
from connectors.applications.addresses import AddressInvalid, parse_addresses, parse_ports, shown_range
from connectors.applications.models import Application
from console.core import versions
from console.core.audit import Actor
from console.core.errors import Invalid, Refusal
from console.kit.csv_export import uncell

COLUMNS = ("name", "description", "protocol", "addresses", "ports", "origin", "tags", "status", "as_of")
REQUIRED = ("name", "addresses", "ports")
MOST_ROWS = 1000
MOST_BYTES = 10_000_000
STATUSES = {"enabled": True, "disabled": False, "": True}


def rows() -> Iterator[tuple[str, ...]]:
    """Lines of the file, one an application; the database is read in pieces, so that thousands are no burden.

    ``as_of``: the newest change when the file was made, so that its way back overwrites nothing that came later.
    """
    as_of = str(versions.newest())
    found = Application.objects.order_by("name").prefetch_related("addresses", "ports", "tags")
    for each in found.iterator(chunk_size=200):
        yield (
            each.name,
            each.description,
            each.protocol,
            "; ".join(address.address for address in each.addresses.all()),
            "; ".join(shown_range((ports.begin, ports.end)) for ports in each.ports.all()),
            each.origin or "",
            "; ".join(tag.name for tag in each.tags.all()),
            "Enabled" if each.enabled else "Disabled",
            as_of,
        )


@dataclass
class Taken:
    """Outcome of a file. ``errors``: (line, sentence) of everything that is wrong; with any, nothing was written."""

    added: int = 0
    changed: int = 0
    errors: list[tuple[int, str]] = field(default_factory=list)

    @property
    def sentence(self) -> str:
        return f"{self.added:,} applications were added and {self.changed:,} brought up to the file."

    @property
    def complaint(self) -> str:
        number = len(self.errors)
        return f"{number:,} line{'s' if number != 1 else ''} cannot be taken"


class _Undo(Exception):
    """Signal that takes back what the good lines had written."""


def take(file: BinaryIO, *, actor: Actor) -> Taken:
    """Add the file's applications, and bring those of the same name up to the file; all of them or none."""
    taken = Taken()
    try:
        lines = _read(file)
    except Invalid as refusal:
        taken.errors.append((1, refusal.message))
        return taken
    try:
        with transaction.atomic():
            _write(lines, taken, actor)
            if taken.errors:
                raise _Undo
    except _Undo:
        pass
    return taken


def _read(file: BinaryIO) -> list[tuple[int, dict[str, str]]]:
    """Return (line number, column → text) of each line. Raise ``Invalid`` for what is no such file."""
    data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise Invalid("The file is larger than 10 MB.")
    try:
        reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        header = [name.strip().lower() for name in reader.fieldnames or ()]
        missing = [name for name in REQUIRED if name not in header]
        unknown = [name for name in header if name not in COLUMNS]
        if missing or unknown or len(set(header)) != len(header):
            raise Invalid(
                f"The first line must name the columns, each once: {', '.join(COLUMNS)}; "
                f"{', '.join(REQUIRED)} are needed."
            )
        reader.fieldnames = header
        lines = []
        for row in reader:
            if None in row or None in row.values():
                raise Invalid(f"Line {reader.line_num} has not as many cells as the first line.")
            if any(cell.strip() for cell in row.values()):
                lines.append((reader.line_num, {name: uncell(cell) for name, cell in row.items()}))
            if len(lines) > MOST_ROWS:
                raise Invalid(f"The file has more than {MOST_ROWS:,} applications.")
    except UnicodeDecodeError as error:
        raise Invalid("The file is not text in UTF-8.") from error
    except csv.Error as error:
        raise Invalid(f"The file is no CSV file: {error}.") from error
    if not lines:
        raise Invalid("The file holds no application.")
    return lines


def _write(lines: list[tuple[int, dict[str, str]]], taken: Taken, actor: Actor) -> None:
    names = {row["name"].strip() for _, row in lines}
    known = {each.name: each for each in Application.objects.filter(name__in=names)}
    seen: dict[str, int] = {}
    for number, row in lines:
        name = row["name"].strip()
        try:
            if name in seen:
                raise Invalid(f"“{name[:80]}” was given before, in line {seen[name]}.")
            seen[name] = number
            with transaction.atomic(), versions.basing(_as_of(row)):
                _write_one(known.get(name), _values(row), actor)
        except (Refusal, AddressInvalid) as error:
            taken.errors.append((number, str(error)))
        else:
            taken.changed += name in known
            taken.added += name not in known


def _as_of(row: dict[str, str]) -> int | None:
    """Return the number of the newest change that the line knows of, None where it says none. Raise ``Invalid``."""
    text = row.get("as_of", "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19 and int(text) <= versions.newest()):
        raise Invalid("as_of must be the number that the export wrote there, or empty.")
    return int(text)


def _values(row: dict[str, str]) -> dict[str, Any]:
    """Turn cells into what the services take. Raise ``Invalid`` and ``AddressInvalid`` for a wrong cell."""
    status = row.get("status", "").strip().lower()
    if status not in STATUSES:
        raise Invalid("status must be Enabled or Disabled.")
    protocols = {each.lower(): each for each in Application.Protocol.values}
    protocol = row.get("protocol", "").strip().lower() or "tcp"
    if protocol not in protocols:
        raise Invalid("protocol must be TCP, UDP or All.")
    origin = row.get("origin", "").strip()
    addresses = row["addresses"].replace(";", ",").replace("\n", ",").replace("\r", ",")
    try:
        found = parse_addresses(addresses, allow_local=bool(origin))
    except AddressInvalid as error:
        raise Invalid(f"addresses: {str(error).removeprefix('Line 1: ')}") from error
    return {
        "name": row["name"],
        "description": row.get("description", ""),
        "protocol": protocols[protocol],
        "addresses": found,
        "ports": parse_ports(row["ports"].replace(";", ",")),
        "origin": origin or None,
        "tags": row.get("tags", "").split(";"),
        "enabled": STATUSES[status],
    }


def _write_one(application: Application | None, values: dict[str, Any], actor: Actor) -> None:
    if application is None:
        services.application_create(**values, actor=actor)
        return
    enabled = values.pop("enabled")
    updated = services.application_update(application=application, **values, actor=actor)
    if updated.enabled != enabled:
        services.application_switch(application=updated, enabled=enabled, actor=actor)

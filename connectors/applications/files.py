"""Applications as CSV: one a line, known by name; semicolons separate several values of a cell."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from connectors.applications import services
from connectors.applications.addresses import AddressInvalid, parse_addresses, parse_ports, shown_range
from connectors.applications.models import Application
from console.core import versions
from console.core.audit import Actor
from console.core.errors import Invalid, Refusal
from console.exchange import cells, reading
from console.exchange.reading import Sheet

COLUMNS = ("name", "description", "protocol", "addresses", "ports", "origin", "tags", "status", "as_of")
SHEET = Sheet("applications", COLUMNS, ("name", "addresses", "ports"), most_rows=1000, most_bytes=10_000_000)


def _ports(application: Application) -> list[str]:
    return [shown_range((ports.begin, ports.end)) for ports in application.ports.all()]


# Columns of the file with their values, read from an application with its addresses, ports and tags.
CSV: tuple[tuple[str, Any], ...] = (
    ("name", "name"),
    ("description", "description"),
    ("protocol", "protocol"),
    ("addresses", lambda application: [address.address for address in application.addresses.all()]),
    ("ports", _ports),
    ("origin", "origin"),
    ("tags", lambda application: [tag.name for tag in application.tags.all()]),
    ("status", lambda application: "Enabled" if application.enabled else "Disabled"),
    ("as_of", "as_of"),
)


def dated(number: int) -> Callable[[list[Any]], None]:
    """Return what adds to applications, as ``as_of``, the newest change when the file was begun.

    By it the file's way back overwrites nothing that came later.
    """

    def dress(applications: list[Any]) -> None:
        for each in applications:
            each.as_of = number

    return dress


@dataclass
class Taken:
    """Outcome of a file. ``errors``: (line, sentence) of everything that is wrong; with any, nothing was written.

    ``told``: how the file was read.
    """

    told: str = ""
    added: int = 0
    changed: int = 0
    errors: list[tuple[int, str]] = field(default_factory=list)

    @property
    def sentence(self) -> str:
        done = f"{self.added:,} applications were added and {self.changed:,} brought up to the file."
        return f"{done} The file was read as {self.told}."

    @property
    def complaint(self) -> str:
        number = len(self.errors)
        return f"{number:,} line{'s' if number != 1 else ''} cannot be taken"


class _Undo(Exception):
    """Signal that takes back what the good lines had written."""


def take(data: bytes, *, actor: Actor, encoding: str = "", language: str = "") -> Taken:
    """Add the file's applications, and bring those of the same name up to the file; all of them or none.

    ``encoding``: what a person chose; ``language``: the header Accept-Language. Raises ``Invalid`` for no table.
    """
    table = reading.read(data, SHEET, encoding=encoding, language=language)
    taken = Taken(table.told)
    try:
        with transaction.atomic():
            _write(table.rows, taken, actor)
            if taken.errors:
                raise _Undo
    except _Undo:
        pass
    return taken


def _write(rows: list[reading.Row], taken: Taken, actor: Actor) -> None:
    names = {row.cells["name"] for row in rows}
    known = {each.name: each for each in Application.objects.filter(name__in=names)}
    seen: dict[str, int] = {}
    for row in rows:
        name = row.cells["name"]
        try:
            if row.problems:
                raise Invalid(" ".join(row.problems))
            if name in seen:
                raise Invalid(f"name: “{name[:80]}” was given before, in line {seen[name]}.")
            seen[name] = row.number
            with transaction.atomic(), versions.basing(_as_of(row.cells)):
                _write_one(known.get(name), _values(row.cells), actor)
        except (Refusal, AddressInvalid) as error:
            taken.errors.append((row.number, cells.visible(_sentence(error))))
        else:
            taken.changed += name in known
            taken.added += name not in known


def _sentence(error: Refusal | AddressInvalid) -> str:
    """Return the sentence of a refusal, with its column in front where the refusal names one."""
    column = getattr(error, "field", None)
    return f"{column}: {error}" if column in COLUMNS else str(error)


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
    status = cells.truth(row["status"], true=("enabled", ""), false=("disabled",))
    if status is None:
        raise Invalid("status must be Enabled or Disabled.")
    protocols = {each.lower(): each for each in Application.Protocol.values}
    protocol = row["protocol"].lower() or "tcp"
    if protocol not in protocols:
        raise Invalid("protocol must be TCP, UDP or All.")
    return {
        "name": row["name"],
        "description": row["description"],
        "protocol": protocols[protocol],
        "addresses": _addresses(row),
        "ports": _read_ports(row["ports"]),
        "origin": row["origin"] or None,
        "tags": _list(row["tags"]),
        "enabled": status,
    }


def _list(text: str) -> list[str]:
    """Return the values of a cell: one a line, or separated by semicolons."""
    return [each.strip() for each in text.replace("\r", "\n").replace("\n", ";").split(";")]


def _addresses(row: dict[str, str]) -> list[str]:
    try:
        return parse_addresses(",".join(_list(row["addresses"])), allow_local=bool(row["origin"]))
    except AddressInvalid as error:
        raise Invalid(f"addresses: {str(error).removeprefix('Line 1: ')}") from error


def _read_ports(text: str) -> list[tuple[int, int]]:
    """Read ports; a date, as spreadsheets make one of the range 8-10, is named as such."""
    parts = [part.strip() for part in ",".join(_list(text)).split(",")]
    dates = [part for part in parts if cells.is_date(part)]
    if dates:
        raise Invalid(
            f"ports: “{dates[0][:40]}” is a date, which a spreadsheet made of a range such as 8-10. "
            "Format the column as text, and enter the range again."
        )
    try:
        return parse_ports(",".join(parts))
    except AddressInvalid as error:
        raise Invalid(f"ports: {error}") from error


def _write_one(application: Application | None, values: dict[str, Any], actor: Actor) -> None:
    if application is None:
        services.application_create(**values, actor=actor)
        return
    enabled = values.pop("enabled")
    updated = services.application_update(application=application, **values, actor=actor)
    if updated.enabled != enabled:
        services.application_switch(application=updated, enabled=enabled, actor=actor)

"""Plug points of the console: apps contribute in ``AppConfig.ready()``, and the console reads without knowing them.

Comments tell what a contribution is and which module reads it. Types that contributions work on stay with their
features and are named here for the type checker alone, so that every module may import this one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from cryptography.x509 import GeneralName
    from django.db.models import Model
    from django.http import HttpRequest
    from django.utils.safestring import SafeString
    from prometheus_client.core import Metric

    from console.machines.models.machines import Gateway
    from console.machines.snapshot import Part
    from console.work.models import Task
    from console.work.tasks import Outcome, Step
    from edge.protocol.enrollment import Enroll
    from edge.protocol.message import Message

T = TypeVar("T")


class Port(list[T]):
    """A plug point whose contributions all count, in the order in which apps added them."""

    def add(self, contribution: T) -> None:
        self.append(contribution)


class NamedPort(dict[str, T]):
    """A plug point whose contributions are looked up by name; a second one of a name replaces the first."""

    def add(self, name: str, contribution: T) -> None:
        self[name] = contribution


# --- Core -------------------------------------------------------------------------------------------------------------

# Function called with a row that a service wrote, within the transaction of the write. Reader: core.saving.
rows_written: Port[Callable[[Model], None]] = Port()


# --- Machines ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MachineKind:
    """A kind of machine that can enroll.

    ``signing``: the certificate whose key signs the machine's calls. ``admit``: makes or finds the machine's record by
    the code's target, the request, and the address that it came from; returns (machine id, connector or None).
    ``names``: certificate → (its names, whether it serves, whether it dials). ``configuration``: the machine's first
    one. ``issued``: is told until when new certificates hold.
    """

    signing: str
    admit: Callable[[str, Enroll, str], tuple[str, str | None]]
    names: Callable[[str], dict[str, tuple[list[GeneralName], bool, bool]]]
    configuration: Callable[[str], Message]
    issued: Callable[[str, datetime], None] | None = None


# Kind of machine by the word in its enrollment codes and keys. Reader: machines.enrollment.
machine_kinds: NamedPort[MachineKind] = NamedPort()

# Function from a machine's id to its name, None for an unknown one; by kind of machine. Reader: machines.logs.
machine_names: NamedPort[Callable[[str], str | None]] = NamedPort()

# Function that gives sections of the configuration of a gateway. Reader: machines.snapshot.
snapshot_parts: Port[Callable[[Gateway], Part]] = Port()

# Function that names what is not good about a gateway, as seen from its app. Reader: machines.gateway_upgrades.
gateway_faults: Port[Callable[[Gateway], list[str]]] = Port()

# Function called with a gateway and {server id: number of tunnels, None unknown}. Reader: edge_api.routes, at a status.
tunnels_reported: Port[Callable[[Gateway, Mapping[str, int | None]], None]] = Port()

# Function called when a backup was restored, within the transaction: ends what must not go on from the time of the
# backup; returns (what was ended, how many). Reader: backup.services.
restored: Port[Callable[[], tuple[str, int]]] = Port()

# Function that reads metrics from the database whenever Prometheus asks. Reader: machines.metrics.
metrics: Port[Callable[[], Iterable[Metric]]] = Port()


# --- Work in the background -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """Work that the worker repeats. ``run``: does one round; returns how many things it changed.

    ``urgent``: somebody waits for the job, so that it runs beside the slow ones; it must not take long itself.
    """

    every: timedelta
    run: Callable[[], int]
    urgent: bool = False


# Job by its name in the worker's log. Reader: manage.py worker.
jobs: NamedPort[Job] = NamedPort()


@dataclass(frozen=True)
class TaskKind:
    """A kind of task.

    ``apply`` changes one thing, inside the transaction that also notes its result; a ``Refusal`` becomes the item's
    failure. ``prepare`` runs before that transaction, for what is slow (a password's hash); it changes nothing and may
    run again. ``url``: the page that the task belongs to.
    """

    apply: Callable[[Step], Outcome]
    prepare: Callable[[Step], Any] | None = None
    url: Callable[[Task], str] | None = None


# Kind of task by the word in the task's row. Reader: work.tasks.
task_kinds: NamedPort[TaskKind] = NamedPort()


# --- Pages ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Card:
    """A figure of the overview. ``value`` is ready to read, ``—`` when unknown; ``note`` is a sentence below it."""

    label: str
    value: str
    note: str
    url: str
    order: int


@dataclass(frozen=True)
class Chart:
    """A chart of the overview. ``render``: makes the part below its heading for the time that the query asks for."""

    label: str
    render: Callable[[HttpRequest], SafeString]


# Name of the URL of the page where an object lives: one that takes the object's id, or a list, which is searched by the
# id; by the kind in audit rows (the model's name in small letters). Reader: auditing.views.
places: NamedPort[str] = NamedPort()

# Function that returns cards. Reader: pages.overview, which sorts the cards of all by their order.
cards: Port[Callable[[], list[Card]]] = Port()

# Chart below the cards. Reader: pages.overview.
charts: Port[Chart] = Port()

OVERVIEW = ""
SAG = "Smart Access Gateway APP"
PRIVATE_ACCESS = "SASE ▸ Private Access"
OPERATIONS = "Operations"
SETTINGS = "Settings"
GROUPS = (OVERVIEW, SAG, PRIVATE_ACCESS, OPERATIONS, SETTINGS)


@dataclass(frozen=True)
class Entry:
    """A link of the left navigation. ``group``: one of ``GROUPS``; ``order`` counts within it.

    ``role``: the lowest that sees the link. ``also``: further paths whose pages belong to the link, as seen from its
    own, such as ``../accounts/``.
    """

    group: str
    label: str
    order: int
    role: str = "viewer"
    also: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.group not in GROUPS:
            raise ValueError(f"Unknown navigation group {self.group!r}; legal are {GROUPS}.")


# Entry by the name of its URL; one whose URL does not exist is not shown. Reader: kit.navigation.
navigation: NamedPort[Entry] = NamedPort()

"""Lanes: kinds of calls to the console that never wait for one another, each with seats of its own.

Behind the front each process serves its lanes alone. Without the front one process serves all lanes, and
`console.edge_api.admission` holds each lane to its seats.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

MIB = 2**20


@dataclass(frozen=True)
class Pace:
    """How many calls the front takes from one address: so many a second, and so many at once after a rest."""

    per_second: int
    burst: int


@dataclass(frozen=True)
class Lane:
    """Kind of calls. ``path`` matches the whole path; of several lanes that match, the first one counts.

    ``seats``: calls worked on at a time. ``queue``: calls that the front lets wait for a seat; others get 503.
    ``process``: which process of the console serves the lane behind the front.
    """

    name: str
    path: str
    process: str
    seats: int
    queue: int
    largest: int
    pace: Pace
    unsigned: Pace | None = None

    def takes(self, path: str) -> bool:
        return re.fullmatch(self.path, path, re.DOTALL) is not None


# Long polls: each holds a seat and no connection to the database. The lane carries cut-offs, so nobody else is here.
GATEWAYS = Lane("gateways", "/edge/v1/gateway/.*", "gateways", 128, 0, 2 * MIB, Pace(200, 1000))
# A password takes long to check: `console.core.hashing` lets a few wait and tells the others when to come again.
LOGONS = Lane(
    "log-ons",
    "/edge/v1/(login|logout|session/renew|enroll|renew)",
    "machines",
    seats=20,
    queue=64,
    largest=MIB // 16,
    pace=Pace(100, 1000),
    unsigned=Pace(10, 60),
)
# Each costs a hash: as many as of an address that others' wrong passwords have slowed (`roaming.sessions.lockout`).
PASSWORDS = "/edge/v1/login"
PASSWORDS_UNSIGNED = Pace(1, 30)
# A world of servers calls at once when the console comes back. Who finds no seat gets a turn, at once.
REPORTS = Lane("reports", "/edge/v1/.*", "machines", 24, 0, 8 * MIB, Pace(500, 2000))
# People who log in to the console: apart, so that guesses at client accounts keep no administrator out.
# The one-use link for a password is a log-in's beginning, and needs none.
LOG_INS = Lane(
    "log-ins",
    "/log-in/((code|openid|openid/back)/)?|/admin/login/|/password-link/[^/]+/",
    "pages",
    8,
    64,
    MIB // 16,
    Pace(5, 30),
)
PAGES = Lane("pages", ".*", "pages", 32, 256, MIB, Pace(50, 300))
LANES = (GATEWAYS, LOGONS, REPORTS, LOG_INS, PAGES)
# Forms of the lane of pages that take a file, with their largest body; somebody sends one now and then.
UPLOADS = "/sase/applications/import/|/sag/instances/[^/]+/accounts/import/"
UPLOAD_LARGEST = 11 * MIB
UPLOAD_PACE = Pace(1, 10)

# Threads beyond a process's seats: by them a caller without a seat is told so at once.
SPARE_THREADS = 8


def lane_of(path: str) -> Lane:
    """Return the lane of a path."""
    return next(lane for lane in LANES if lane.takes(path))


def threads(lanes: Iterable[Lane]) -> int:
    """Return how many threads a process needs that serves these lanes."""
    return sum(lane.seats for lane in lanes) + SPARE_THREADS

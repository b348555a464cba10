"""Who may do what: every URL of the console × every method × every role, by the role that the URL declares."""

import logging
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection, transaction
from django.test import Client
from django.urls import get_resolver

from connectors.alerts.views.rules import GATEWAYS
from console.checks import every_url_declares_its_role, url_views
from console.core.access import ROLES, has_role
from console.core.admin_services import HistoryAdmin, ServiceAdmin
from console.models import Task
from tests.console.everything import Ids, everything
from tests.console.factories import UserFactory
from tests.responses import Response

pytestmark = pytest.mark.django_db

# What no URL takes is asked for as the highest role, whom nothing else stops.
METHODS = dict.fromkeys(("stranger", *ROLES), ("GET", "POST")) | {
    "administrator": ("GET", "POST", "PUT", "PATCH", "DELETE")
}
# Ends of URLs that only act, and of those that also show what they ask for. Every other URL only shows.
ACTS = re.compile(
    r"/(acknowledge|area|ask|cancel|delete|disable|discard|enable|end|enroll-anew|kick|lift|networks/add|new-secret"
    r"|pick/<str:kind>|priority|remove|reset-factor|retry|revoke-code|secrets|sign-out|start|stop|theme)/$"
)
FORMS = re.compile(
    r"((?<!push)/add|/(add/<str:kind>|(alerts|gateways)/<str:kind>|deploy|drain|edit|import|license|network|password"
    r"|time-zone|rename|reset-password|roam|link|password-link/<str:token>|second-factor|second-factor/codes"
    r"|second-factor/off|alerts/settings|silence|test|upgrade|upgrade-window|upgrades/<str:area_id>"
    r"|push/<str:channel_id>|policies/<str:policy_id>|groups/<str:group_id>|applications/<str:application_id>))/$"
)
# POSTs that need more than the view declares, since lower roles read the page.
POST_NEEDS = {"/sase/connectors/<str:connector_id>/deploy/": "operator"}
# Django's own views, which answer every method; and the metrics, which ask for a token.
ELSEWHERE = {"/log-in/", "/log-in/code/", "/log-in/openid/", "/log-in/openid/back/", "/log-out/", "/metrics"}
# URLs of Django admin that only lead to a page of the console.
ELSEWHERE |= {"/admin/password_change/", "/admin/password_change/done/"}
# Pages that note in the audit trail who fetched from them; actions with nothing to act on, as in a world of one object.
NOTED = re.compile(r"\.(tar\.gz|csv|json)$|gateways-ca\.pem$|/(applications|accounts)/export/$|/results/$")
NOTHING_TO_DO = re.compile(r"/(revoke-code|upgrade/cancel|upgrades/<str:area_id>/cancel)/$")
# What all gateways together do not have, though the URL exists for each connector.
ABSENT = {f"/alerts/settings/{GATEWAYS}/silence/", f"/alerts/settings/{GATEWAYS}/<str:kind>/dry-run/"}
ABSENT |= {"/deploy/console-ca.pem"}  # nor has a console whose certificate everybody trusts
# Forms that are pages of their own, with the shell about them.
WITH_SHELL = {
    "/password/",
    "/password-link/<str:token>/",
    "/profile/time-zone/",
    "/sag/instances/<sag_id:instance_id>/accounts/import/",
}
PARAMETER = re.compile(r"<(\w+):(\w+)>")
WHEEL = "causeway-0.2.0-py3-none-any.whl"
RULE = "?threshold=5&hold_seconds=30&hysteresis_percent=20"


@dataclass(frozen=True)
class Page:
    """A URL of the map: its ``path`` as declared there, and the lowest role that it names."""

    path: str
    role: str

    @property
    def methods(self) -> tuple[str, ...]:
        if ACTS.search(self.path):
            return ("POST",)
        return ("GET", "POST") if FORMS.search(self.path) else ("GET",)

    @property
    def names(self) -> set[str]:
        """Parameters that name an object."""
        return {name for _, name in PARAMETER.findall(self.path) if name.endswith("_id")}

    def needs(self, method: str) -> str:
        return POST_NEEDS.get(self.path, self.role) if method == "POST" else self.role

    def url(self, ids: Ids) -> str:
        kinds = {
            "/settings/push/": "email",
            "/sase/policies/": "accounts",
            "/alerts/": "drift",
            "/": "bandwidth",
        }
        kind = next(kind for prefix, kind in kinds.items() if self.path.startswith(prefix))
        values = {"kind": kind, "what": "rates", "name": WHEEL, **ids}
        url = PARAMETER.sub(lambda found: str(values[found[2]]).replace("\0", "%00"), self.path)
        return url + (RULE if url.endswith("/dry-run/") else "")


PAGES = [
    Page(f"/{path}", view.required_role)
    for path, view in url_views(get_resolver().url_patterns)
    if f"/{path}" not in ELSEWHERE
]
NUMBERS = {name for page in PAGES for kind, name in PARAMETER.findall(page.path) if kind == "int"}


@contextmanager
def undone() -> Iterator[list[str]]:
    """Undo what is written; give the statements that wrote something but the session, which any page may keep."""
    written: list[str] = []

    def look(execute: Any, sql: str, *rest: Any) -> Any:
        if re.match(r"INSERT|UPDATE|DELETE", sql) and "console_login" not in sql:
            written.append(sql[:100])
        return execute(sql, *rest)

    with transaction.atomic(), connection.execute_wrapper(look):
        yield written
        transaction.set_rollback(True)


def _asks_log_in(answer: Response) -> bool:
    """Tell whether an answer leads to the log-in, or is the log-in that keeps a form which was sent without one."""
    leads = "/log-in/" in answer.get("Location", "") + answer.get("HX-Redirect", "")
    return leads or (answer.status_code == 401 and 'action="/log-in/"' in answer.text)


class Caller:
    """A user of ``role`` with one object of everything, or a stranger. What a call changes is undone."""

    def __init__(self, role: str) -> None:
        self.role = role
        self.user = UserFactory(username=role, role=role if role in ROLES else "viewer")
        self.ids = everything(self.user)
        self._client = Client(raise_request_exception=False)
        if role in ROLES:
            self._client.force_login(self.user, backend="django.contrib.auth.backends.ModelBackend")
        self._cookies = self._client.cookies.output(header="", sep=";")

    def may(self, role: str) -> bool:
        return role == "public" or (self.role in ROLES and ROLES.index(self.role) >= ROLES.index(role))

    def call(self, method: str, url: str, target: str | None = None) -> tuple[Response, list[str]]:
        """Return the answer and what was written. ``target``: what htmx would fill; None without htmx."""
        self._client.cookies.clear()
        self._client.cookies.load(self._cookies)
        headers = {} if target is None else {"HX-Request": "true", "HX-Target": target}
        with undone() as written:
            answer = self._client.generic(method, url, headers=headers)
            if answer.streaming:
                answer.getvalue()
        return answer, written

    def answered(self, method: str, page: Page) -> Iterator[str]:
        """Say what is wrong when the caller asks for an object that is there."""
        url = page.url(self.ids)
        # Whoever may not gets a short notice by htmx, which is quicker than a page.
        answer, written = self.call(method, url, None if method in page.methods else "")
        status, needed = answer.status_code, page.needs(method)
        lets_in = self.may(needed) and method in page.methods
        if self.role == "stranger" and page.role != "public":
            good = _asks_log_in(answer)
        elif method not in page.methods:
            good = status == 405
        elif not lets_in:
            good = status == 403 and f"role of {needed}" in answer.text
        elif page.path in ABSENT:
            good = status == 404
        elif method == "GET":
            shared = page.role != "public" and not re.search(
                "private|no-store", answer.get("Cache-Control", "")
            )
            good = status == 200 and not shared
        else:
            good = status < 500 and status not in (403, 405)
            good = good and (status != 404 or bool(NOTHING_TO_DO.search(page.path)))
        if not good or (written and not (lets_in and (method == "POST" or NOTED.search(page.path)))):
            yield f"{method} {url} as {self.role}: {status}, wrote {written}; {page} takes {page.methods}"

    def found(
        self, page: Page, ids: Ids, statuses: Iterable[int] = (404,), target: str | None = ""
    ) -> Iterator[str]:
        """Say what is wrong when the caller asks for an object that no one has, or that another has."""
        for method in page.methods:
            url = page.url(self.ids | ids)
            answer, written = self.call(method, url, target)
            if self.role == "stranger":
                good = _asks_log_in(answer)
            else:
                good = answer.status_code in (statuses if self.may(page.role) else (403,))
            if not good or written:
                yield f"{method} {url} as {self.role}: {answer.status_code}, wrote {written}"


def none(wrong: Iterable[str]) -> None:
    lines = list(wrong)
    assert not lines, "\n".join(["", *lines])


def nobodys(text: str, number: int) -> Ids:
    """Make ids that no object has, in each parameter's place."""
    return {name: number if name in NUMBERS else text for page in PAGES for name in page.names}


@pytest.fixture(autouse=True)
def world(wheel: Path) -> Iterator[None]:
    """Offer a wheel to deploy, and write no log of the thousands of refusals."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


def test_every_url_declares_a_role_and_most_need_one() -> None:
    assert every_url_declares_its_role(None) == []
    assert len([page for page in PAGES if page.role in ROLES]) > 140
    assert "/healthz" in [page.path for page in PAGES if page.role == "public"]


@pytest.mark.parametrize("role", METHODS)
def test_every_url_answers_every_method_as_its_role_says(role: str) -> None:
    caller = Caller(role)
    none(line for page in PAGES for method in METHODS[role] for line in caller.answered(method, page))


@pytest.mark.parametrize("role", METHODS)
def test_what_belongs_to_nobody_is_not_found_and_lower_roles_are_not_told(role: str) -> None:
    caller = Caller(role)
    ids = nobodys("connector-0123456789abcdef", 987654321)
    none(line for page in PAGES if page.names and page.path not in ABSENT for line in caller.found(page, ids))


def test_what_is_no_id_is_not_found() -> None:
    caller = Caller("administrator")
    pages = [page for page in PAGES if page.names]
    texts = cycle(["x", "..", "SAG-abc", "sag-" + "a" * 200, "sag-%F0%9F%92%A5"])
    none(
        line
        for page, text in zip(pages, texts, strict=False)
        for line in (
            *caller.found(page, nobodys("a\0b", 2**70)),
            *caller.found(page, nobodys(text, 0), target=None),
        )
    )


def test_what_belongs_to_another_is_not_found() -> None:
    """A server by way of another connector, a network of another CCN, logs of another machine, another's upload."""
    caller = Caller("administrator")
    theirs = everything(UserFactory(role="operator"))
    of_two = [(page, name) for page in PAGES for name in page.names if len(page.names) > 1]
    uploads = [(page, "import_id") for page in PAGES if "import_id" in page.names]
    assert len(of_two) >= 20 and len(uploads) == 4
    # Pages that still show a server which is gone ask for its state: 286 tells them to stop.
    gone = {
        page.path: (286,) if page.path.endswith("/servers/<str:server_id>/") else (404,) for page in PAGES
    }
    none(
        line
        for page, name in of_two + uploads
        for line in caller.found(page, {name: theirs[name]}, gone[page.path])
    )


def test_secrets_of_a_task_are_for_nobody_when_its_owner_is_gone() -> None:
    caller, owner = Caller("administrator"), UserFactory(role="operator")
    ids = everything(owner)
    page = next(page for page in PAGES if page.path.endswith("/secrets/"))
    owner.delete()
    assert Task.objects.get(pk=ids["task_id"]).owner is None
    none(caller.found(page, ids, (403,)))


def test_every_page_opens_by_htmx_and_a_form_comes_without_the_shell() -> None:
    caller = Caller("administrator")
    for page in [page for page in PAGES if "GET" in page.methods and page.path not in ABSENT]:
        answers = [caller.call("GET", page.url(caller.ids), target)[0] for target in ("panel", "dialog")]
        assert [answer.status_code for answer in answers] == [200, 200], page
        if "POST" in page.methods and page.path not in WITH_SHELL:
            assert not all("<html" in answer.text for answer in answers), page


@pytest.mark.parametrize("next_", ["7", "x:y", "//evil.example/", "https://evil.example/"])
def test_a_question_leads_back_into_the_console_whatever_the_address_says(next_: str) -> None:
    caller = Caller("administrator")
    questions = [page for page in PAGES if "/confirm-" in page.path]
    assert len(questions) > 15
    for page in questions:
        answer, _ = caller.call("GET", f"{page.url(caller.ids)}?next={next_}")
        assert answer.status_code == 200 and f'="{next_}"' not in answer.text, page


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("staff", [False, True])
def test_django_admin_is_entered_by_staff_of_any_role_and_by_no_role_alone(
    client: Client, role: str, staff: bool
) -> None:
    """Staff see the rows that services and machines write; those of people and their log-ins by a higher role alone."""
    user = UserFactory(role=role, is_staff=staff)
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    assert client.get("/admin/").status_code == (200 if staff else 302)
    wrong = []
    for model, door in admin.site._registry.items():
        url = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        seen = isinstance(door, HistoryAdmin | ServiceAdmin) and has_role(user, door.readers)
        adds = isinstance(door, ServiceAdmin) and door._offers("create") and has_role(user, door.writers)
        for page, opens in ((url, seen), (f"{url}add/", adds)):
            status, good = client.get(page).status_code, (200 if opens else 403) if staff else 302
            wrong += (
                [f"GET {page} as {role}, staff: {staff}: {status} and not {good}"] if status != good else []
            )
    none(wrong)

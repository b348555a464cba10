"""Every form of every page and of Django admin: it counts once, and overwrites nothing that its sender did not see.

Nothing to write for a new form: the URLs are read off the map, forms and legal values off the pages.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.db.models import CharField
from django.test import Client
from django.urls import reverse

from console.core import audit, versions
from console.core.admin_services import ServiceAdmin
from console.models import AuditRow, User
from tests.console import drawn
from tests.console.everything import everything
from tests.console.test_roles import ABSENT, PAGES, Caller, Page, undone
from tests.fuzz.usual import EMPTY, VALUES
from tests.responses import Response, words

pytestmark = pytest.mark.django_db

OTHER = audit.System("somebody else")
WITH_FORMS = [page for page in PAGES if "GET" in page.methods and "POST" in page.methods]
# Choices by which a form needs nothing more.
WIDE = ("users", "scope")
OURS = ("console", "roaming", "connectors")


@pytest.fixture
def caller(wheel: Any) -> Caller:
    return Caller("administrator")


def _client(caller: Caller) -> Client:
    """Return the caller's client with the log-in that the caller began with."""
    caller._client.cookies.clear()
    caller._client.cookies.load(caller._cookies)
    return caller._client


def _own(caller: Caller, page: Page) -> drawn.Drawn | None:
    """The form of a page that is sent to the page's own address; None where the page has none just now."""
    url = page.url(caller.ids)
    found = drawn.forms(_client(caller).get(url), url)
    return next((each for each in found if each.action.partition("?")[0] == url), None)


def test_every_form_of_every_page_says_what_it_goes_by(caller: Caller) -> None:
    wrong = []
    for page in [page for page in PAGES if "GET" in page.methods and page.path not in ABSENT]:
        url = page.url(caller.ids)
        answer = _client(caller).get(url)
        if answer.streaming:
            answer.getvalue()
            continue
        for form in drawn.forms(answer, url):
            names = [name for name, _ in form.pairs]
            if names.count("submission") != 1 or names.count("based_on") != 1:
                wrong.append((page.path, form.action, names))
    assert not wrong


def test_every_form_of_django_admin_says_what_it_goes_by(
    superuser_client: Client, administrator: User
) -> None:
    everything(administrator)
    served = [model for model, door in admin.site._registry.items() if isinstance(door, ServiceAdmin)]
    assert len(served) > 5
    for model in served:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        row = model._default_manager.first()
        urls = [reverse(f"{name}_changelist")]
        urls += [reverse(f"{name}_{act}", args=[row.pk]) for act in ("change", "delete")] if row else []
        for url in urls:
            answer = superuser_client.get(url)
            found = [
                form
                for form in drawn.forms(answer, url)
                if "/log-out/" not in form.action and "logout" not in form.action
            ]
            for form in found:
                assert form.get("submission") and form.get("based_on"), (url, form)


def test_a_form_that_is_sent_twice_has_its_effect_once(caller: Caller) -> None:
    """Each form that adds must have been accepted as well: a form whose usual values are refused would show nothing."""
    wrong: list[tuple[Any, ...]] = []
    for page in [page for page in WITH_FORMS if page.path not in ABSENT]:
        form, url, client = _own(caller, page), page.url(caller.ids), _client(caller)
        if form is None:
            continue
        said = form.filled(VALUES, EMPTY, WIDE if "/add/" in page.path else ())
        with undone():
            first = client.post(url, said)
            written = AuditRow.objects.count()
            again = client.post(url, said)
            if AuditRow.objects.count() != written:
                wrong.append((page.path, "wrote again", first.status_code, again.status_code))
        if first.status_code < 400 and not first.streaming and _told(first) != _told(again):
            wrong.append((page.path, "answered otherwise", first.status_code, again.status_code))
        if "/add/" in page.path and first.status_code >= 400:
            wrong.append((page.path, "refused", first.status_code, words(first)))
    assert not wrong


def _told(answer: Response) -> tuple[Any, ...]:
    return answer.status_code, answer.get("Location"), answer.content


def test_what_others_changed_is_not_overwritten_from_an_old_page(caller: Caller) -> None:
    """Every URL that writes and names an object: somebody else has changed the object since the page was drawn."""
    wrong, refused = [], []
    number = versions.newest()
    touched = _touch_everything(caller)
    last = versions.newest()
    for page in [page for page in PAGES if "POST" in page.methods and page.names and page.path not in ABSENT]:
        client, url = _client(caller), page.url(caller.ids)
        form = _own(caller, page) if "GET" in page.methods else drawn.Drawn(url, [("priority", "4")])
        if form is None:
            continue
        said = form.filled(VALUES, EMPTY)
        said |= {name: [f"{said[name][0]}9"] for name in ("priority", "description") if name in said}
        with undone():
            answer = client.post(url, said | {"based_on": [str(number)]})
            made = AuditRow.objects.filter(id__gt=last).exclude(verb__in=versions.NOTES)
            wrong += [(page.path, row.verb) for row in made if (row.target_kind, row.target) in touched]
        if answer.status_code in (409, 422) and str(OTHER) in answer.text:
            refused.append(page.path)
    assert not wrong
    assert len(refused) > 25, refused


def _touch_everything(caller: Caller) -> set[tuple[str, str]]:
    """Somebody else changes each object of the world; return (kind, key) of them."""
    ids = {str(value) for value in caller.ids.values()}
    touched = set()
    for model in [model for model in apps.get_models() if model._meta.app_label in OURS]:
        if model._meta.pk.is_relation:
            continue
        fitting = [each for each in ids if each.isdigit() != isinstance(model._meta.pk, CharField)]
        for row in model._default_manager.filter(pk__in=fitting):
            audit.record(actor=OTHER, verb=f"{model._meta.model_name}.touch", target=row, after={"name": "x"})
            touched.add((str(model._meta.model_name), str(row.pk)))
    return touched

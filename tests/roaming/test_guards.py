"""Every page and action of this app: who may, which method, which id."""

import pytest
from django.test import Client
from django.urls import reverse

from console.models import Gateway
from roaming.sessions import logon
from roaming.urls import urlpatterns
from tests.roaming.factories import PASSWORD, AccountFactory, CCNFactory, InstanceFactory, locked_out

pytestmark = pytest.mark.django_db

MONITORING = {
    f"{kind}_monitoring{part}"
    for kind in ("instance", "account")
    for part in ("", "_words", "_chart", "_csv")
}
READ = {
    "instances",
    "instance",
    "accounts",
    "account_menu",
    "sessions",
    "lock_outs",
    "ccns",
    "ccn",
    *MONITORING,
}
FORMS = {"instance_add", "instance_edit", "instance_network", "account_add", "account_edit", "ccn_add"}
# Dialogs that show themselves for a GET and act for a POST.
DIALOGS = {"account_roam", "account_reset_password", "accounts_roam"}
QUESTIONS = {
    "instance_confirm_stop",
    "instance_confirm_kick",
    "instance_confirm_delete",
    "account_confirm_enable",
    "account_confirm_disable",
    "account_confirm_kick",
    "account_confirm_delete",
    "session_confirm_kick",
    "network_confirm_remove",
    "ccn_confirm_delete",
}
ACTIONS = {
    "instance_start",
    "instance_stop",
    "instance_kick",
    "instance_delete",
    "account_enable",
    "account_disable",
    "account_kick",
    "account_delete",
    "lock_out_lift",
    "session_kick",
    "network_add",
    "network_remove",
    "ccn_delete",
}
UNKNOWN: dict[str, int | str] = {
    "instance_id": "sag-000000000000000000",
    "account_id": "user-0000000000000000",
    "session_id": "session-0000000000000000",
    "lock_out_id": "pair-0000000000000000",
    "ccn_id": "ccn-000000000000000000",
    "network_id": 2**70,
    "what": "rates",
}
# Uploads are their owner's alone and have no page without one; who may is tested beside them.
ELSEWHERE = {
    pattern.name for pattern in urlpatterns if pattern.callback.__module__ == "roaming.imports.views"
}
HERE = [pattern for pattern in urlpatterns if pattern.name not in ELSEWHERE]
WITH_ID = [str(pattern.name) for pattern in HERE if "<" in str(pattern.pattern)]


@pytest.fixture
def ids(gateway: Gateway) -> dict[str, int | str]:
    """One of everything."""
    ccn = CCNFactory(networks=["172.16.0.0/16"])
    account = AccountFactory(instance=InstanceFactory(ccn=ccn))
    _, session = logon.logon(
        instance_id=account.instance_id,
        username=account.username,
        password=PASSWORD,
        public_address="203.0.113.1",
        gateway_id=gateway.pk,
        kind="proxy",
    )
    return {
        "instance_id": account.instance_id,
        "account_id": account.pk,
        "session_id": session.pk,
        "lock_out_id": locked_out(account, "203.0.113.2").pk,
        "ccn_id": ccn.pk,
        "network_id": ccn.cloud_networks.get().pk,
        "what": "rates",
    }


def url(name: str, ids: dict[str, int | str]) -> str:
    pattern = next(pattern for pattern in urlpatterns if pattern.name == name)
    return reverse(f"roaming:{name}", kwargs={key: ids[key] for key in pattern.pattern.converters})


def test_every_url_is_covered_here() -> None:
    assert {pattern.name for pattern in HERE} == {*READ, *FORMS, *DIALOGS, *QUESTIONS, *ACTIONS}


def test_an_operator_sees_every_page(
    subtests: pytest.Subtests, operator_client: Client, ids: dict[str, int | str]
) -> None:
    for name in sorted([*READ, *FORMS, *DIALOGS, *QUESTIONS]):
        for target in [None, "panel", "dialog"]:
            with subtests.test(name=name, target=target):
                headers = {"HX-Request": "true", "HX-Target": target} if target else {}
                response = operator_client.get(url(name, ids), headers=headers)
                assert response.status_code == 200
                if target == "panel" and name in FORMS:
                    assert b"<html" not in response.content


def test_a_viewer_sees_lists_and_details(
    subtests: pytest.Subtests, viewer_client: Client, ids: dict[str, int | str]
) -> None:
    for name in sorted(READ):
        with subtests.test(name=name):
            assert viewer_client.get(url(name, ids)).status_code == 200


def test_a_viewer_gets_no_form_and_no_question(
    subtests: pytest.Subtests, viewer_client: Client, ids: dict[str, int | str]
) -> None:
    for name in sorted([*FORMS, *DIALOGS, *QUESTIONS]):
        with subtests.test(name=name):
            response = viewer_client.get(url(name, ids))
            assert response.status_code == 403
            assert "role of operator" in response.content.decode()


def test_a_viewer_changes_nothing(
    subtests: pytest.Subtests, viewer_client: Client, ids: dict[str, int | str]
) -> None:
    from console.models import AuditRow

    for name in sorted([*FORMS, *DIALOGS, *ACTIONS]):
        with subtests.test(name=name):
            before = AuditRow.objects.count()
            assert viewer_client.post(url(name, ids)).status_code == 403
            assert AuditRow.objects.count() == before


def test_nobody_comes_in_without_logging_on(
    subtests: pytest.Subtests, client: Client, ids: dict[str, int | str]
) -> None:
    for name in sorted([*READ, *FORMS, *DIALOGS, *QUESTIONS, *ACTIONS]):
        with subtests.test(name=name):
            response = client.post(url(name, ids)) if name in ACTIONS else client.get(url(name, ids))
            assert response.status_code == 302
            assert response["Location"].startswith(reverse("login"))


def test_actions_are_posted(
    subtests: pytest.Subtests, operator_client: Client, ids: dict[str, int | str]
) -> None:
    for name in sorted(ACTIONS):
        with subtests.test(name=name):
            assert operator_client.get(url(name, ids)).status_code == 405


def test_pages_are_not_posted_to(
    subtests: pytest.Subtests, operator_client: Client, ids: dict[str, int | str]
) -> None:
    for name in sorted([*READ, *QUESTIONS]):
        with subtests.test(name=name):
            assert operator_client.post(url(name, ids)).status_code == 405


def test_an_unknown_id_is_not_found(
    subtests: pytest.Subtests, operator_client: Client, ids: dict[str, int | str]
) -> None:
    for name in sorted(WITH_ID):
        with subtests.test(name=name):
            method = operator_client.post if name in ACTIONS else operator_client.get
            assert method(url(name, UNKNOWN)).status_code == 404


@pytest.mark.parametrize("bad", ["x", "sag-%00", "SAG-abc", "sag-" + "a" * 200, "sag-%F0%9F%92%A5", ".."])
def test_what_is_no_id_is_not_found(operator_client: Client, bad: str) -> None:
    assert operator_client.get(f"/sag/instances/{bad}/accounts/").status_code == 404

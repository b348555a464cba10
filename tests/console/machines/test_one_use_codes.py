"""One click, one code, one machine: of either kind, whoever else tries at the same moment or a second time."""

from __future__ import annotations

import os
import re
import subprocess
from collections import Counter
from functools import partial
from html import unescape
from pathlib import Path

import pytest
from django.test import Client
from pytest_django import Settings

from connectors.models import Server
from console.core import audit
from console.core.errors import NotFound
from console.machines import enrollment
from console.models import AuditRow, EnrollmentCode, Gateway
from tests.at_once import at_once
from tests.connectors.factories import ConnectorFactory
from tests.console.factories import GatewayFactory
from tests.console.machine import Machine
from tests.responses import Response

pytestmark = pytest.mark.django_db
CODE = re.compile(r"--code ([A-Z2-9]{4}-[A-Z2-9]{4}-[A-Z2-9]{4})")


@pytest.fixture(params=["connector", "gateway"])
def panel(request: pytest.FixtureRequest) -> str:
    """The path of a Deploy panel."""
    if request.param == "gateway":
        return f"/gateways/{GatewayFactory().pk}/deploy/"
    return f"/sase/connectors/{ConnectorFactory().pk}/deploy/"


def machine_of(panel: str) -> Machine:
    """Make a machine of the panel's connector or gateway, enrolled by a code of its own."""
    return Machine("gateway" if "gateways" in panel else "server", panel.split("/")[-3])


def code_in(answer: Response) -> str:
    """Return the code that an answer shows, empty where there is none."""
    shown = CODE.search(answer.text)
    return shown[1] if shown else ""


def button(page: Response) -> str:
    """Where the form of *Create command* goes."""
    form = re.search(r'<form method="post" action="([^"]+/deploy/[^"]*)"', page.text)
    assert form
    return unescape(form[1])


def test_asking_makes_a_code_that_admits_a_machine_and_is_shown_once(
    administrator_client: Client, panel: str
) -> None:
    assert not code_in(administrator_client.get(panel))
    answer = administrator_client.post(panel)
    code = code_in(answer)
    assert code and "no-store" in answer["Cache-Control"]
    assert all(f"--{command}" in answer.text for command in ("upgrade", "uninstall", "export-logs"))
    assert code not in administrator_client.get(panel).text
    assert machine_of(panel).enroll(code).status_code == 200


def test_an_open_code_is_listed_and_revoked(administrator_client: Client, panel: str) -> None:
    code = code_in(administrator_client.post(panel))
    record = EnrollmentCode.objects.get()
    assert record.pk in administrator_client.get(panel).text
    revoke = panel.replace("/deploy/", "/revoke-code/")
    for others in (f"/gateways/{GatewayFactory().pk}", f"/sase/connectors/{ConnectorFactory().pk}"):
        answer = administrator_client.post(f"{others}/revoke-code/", {"code": record.pk})
        assert answer.status_code == 404
    assert administrator_client.post(revoke, {"code": "a\0b"}).status_code == 404
    assert administrator_client.post(revoke, {"code": record.pk}).status_code == 302
    assert administrator_client.post(revoke, {"code": record.pk}).status_code == 404
    assert AuditRow.objects.filter(verb="enrollment_code.revoke").count() == 1
    refused = machine_of(panel).enroll(code)
    assert refused.json()["error"]["code"] == "EnrollmentCodeRevoked"


def test_a_post_that_is_loaded_again_makes_no_second_code(administrator_client: Client, panel: str) -> None:
    action = button(administrator_client.get(panel))
    first = administrator_client.post(action)
    assert code_in(first)
    again = administrator_client.post(action)
    assert again.status_code == 409 and "is not shown again" in again.text
    assert not code_in(again) and EnrollmentCode.objects.count() == 1
    assert AuditRow.objects.filter(verb="enrollment_code.create").count() == 1
    # The button of the answer is another one.
    assert code_in(administrator_client.post(button(first)))
    assert EnrollmentCode.objects.count() == 2


def test_a_post_that_is_loaded_again_after_the_code_was_revoked_makes_none_either(
    administrator_client: Client, panel: str
) -> None:
    action = button(administrator_client.get(panel))
    administrator_client.post(action)
    record = EnrollmentCode.objects.get()
    revoke = panel.replace("/deploy/", "/revoke-code/")
    assert administrator_client.post(revoke, {"code": record.pk}).status_code == 302
    assert record.pk not in administrator_client.get(panel).text, "it is listed no more"
    assert administrator_client.post(action).status_code == 409


@pytest.mark.parametrize("click", ["", "a\0b", "x" * 5000])
def test_any_click_will_do(administrator_client: Client, panel: str, click: str) -> None:
    assert code_in(administrator_client.post(f"{panel}?click={click}"))


def test_a_code_that_was_used_cannot_be_revoked(gateway: Gateway) -> None:
    code, record = enrollment.code_create(kind="gateway", target=gateway.pk, actor=audit.System("test"))
    assert Machine("gateway", gateway.pk).enroll(code).status_code == 200
    with pytest.raises(NotFound, match="used or revoked before"):
        enrollment.code_revoke(target=gateway.pk, digest=record.pk, actor=audit.System("test"))
    assert EnrollmentCode.objects.get(pk=record.pk).used_by == gateway.pk, "who used it stays known"


@pytest.mark.processes
@pytest.mark.parametrize(
    "console",
    ["https://console.example.com/causeway", "http://[::1]:8443", "https://console.example.com:444"],
)
def test_the_command_is_good_for_any_shell_wherever_the_console_is(
    administrator_client: Client, panel: str, settings: Settings, console: str, tmp_path: Path
) -> None:
    settings.PUBLIC_URL = console
    page = unescape(re.sub(r"<[^>]+>", "", administrator_client.post(panel).text))
    command = re.search(r"curl -fsSL .*? \| sh -s -- --code [A-Z2-9-]{14}", page)
    assert command
    curl = tmp_path / "curl"
    curl.write_text('#!/bin/sh\nprintf "%s\\n" "$@" >fetched\n')
    curl.chmod(0o755)
    # For the brackets of an IPv6 address, taken for a pattern, there is a file; zsh would not even begin without one.
    for kind in ("connector", "gateway"):
        found = tmp_path / "http:" / "1:8443" / "deploy" / f"{kind}.sh"
        found.parent.mkdir(parents=True, exist_ok=True)
        found.touch()
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run(["sh", "-c", command[0]], cwd=tmp_path, env=environment, check=True, timeout=30)
    kind = "gateway" if "gateways" in panel else "connector"
    assert (tmp_path / "fetched").read_text().split() == ["-fsSL", f"{console}/deploy/{kind}.sh"]


def test_no_log_and_no_audit_row_holds_a_code(
    administrator_client: Client, panel: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    code = code_in(administrator_client.post(panel))
    machine = machine_of(panel)
    assert machine.enroll(code).status_code == 200
    assert machine.enroll(code).status_code == 403
    told = caplog.text + str(list(AuditRow.objects.values())) + str(list(EnrollmentCode.objects.values()))
    assert code not in told and code.replace("-", "") not in told


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_of_many_machines_with_one_code_at_the_same_moment_one_is_admitted() -> None:
    connector = ConnectorFactory()
    machines = [Machine("server", connector.pk) for _ in range(6)]
    before = Server.objects.count()
    code, record = enrollment.code_create(kind="server", target=connector.pk, actor=audit.System("test"))
    answers = [answer.json() for answer in at_once(*(partial(machine.enroll, code) for machine in machines))]
    told = Counter(answer["error"]["code"] if "error" in answer else "admitted" for answer in answers)
    assert told == {"admitted": 1, "EnrollmentCodeUsed": 5}
    assert Server.objects.count() == before + 1
    assert EnrollmentCode.objects.get(pk=record.pk).used_by in {answer.get("id") for answer in answers}

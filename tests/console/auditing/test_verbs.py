"""Every verb that the code writes has a row on the page, whatever stands in its values."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import Client

from console.core import audit
from console.models import AuditRow, User
from tests.console.everything import everything

ROOT = Path(__file__).parents[3]
FLOORS = ("console", "roaming", "connectors", "demo")
# Verbs that an expression makes, by module and expression. A new expression fails the test until it stands here.
MADE = {
    ("console/auditing/check.py", "FAILED"): ["audit.verify_failed"],
    ("console/core/log_ins.py", "verb"): ["user.log_in_failed", "user.lock_out", "account.lock_out"],
    ("console/machines/upgrades.py", "f'{self.owner}.upgrade'"): ["area.upgrade", "connector.upgrade"],
    ("console/machines/upgrades.py", "f'{self.owner}.upgrade_cancel'"): [
        "area.upgrade_cancel",
        "connector.upgrade_cancel",
    ],
    ("console/machines/upgrade_rule.py", "f'{self.owner}.upgrade_end'"): [
        "area.upgrade_end",
        "connector.upgrade_end",
    ],
    ("console/machines/upgrade_rule.py", "f'{self.machine}.upgrade'"): ["gateway.upgrade", "server.upgrade"],
    ("connectors/fleet/services/servers.py", "verb"): ["server.enable", "server.disable"],
    ("connectors/fleet/services/servers.py", "DRAIN"): ["server.drain"],
}
SWITCHED = ("console/core/switching.py", "f'{kind}.{word}'")
# Verbs of what everybody who reads an audit looks for.
WANTED = {
    *(f"user.{word}" for word in ("create", "update", "delete", "password_set", "password_change")),
    *(f"user.{word}" for word in ("log_in", "log_out", "log_in_failed", "lock_out", "lift")),
    *("account.lock_out", "logon.lift", "access_key.create", "authority.add", "authority.switch"),
    *("backup.create", "backup.restore", "secrets.rotate"),
    *(
        "export.take",
        "logs.download",
        "audit.forget",
        "audit.verify_failed",
        "alert_settings.update",
        "license.update",
    ),
}
ODD = {
    "items": 3,
    "keys": ["a", "b"],
    "values": {"x": 1},
    "get": None,
    "_x": "hidden",
    "__class__": "c",
    "nested": {"items": {"items": [1, [2, {"a": None}]]}},
    "deep": json.loads("[" * 100 + "]" * 100),
    "long": "x" * 5000,
    "many": list(range(1000)),
    "": "no name",
    "<b>": "<script>alert(1)</script>",
    "name": "quote \" and ' and 💥",
    "role": "viewer",
    "enabled": False,
    "0": 1.5,
}


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Yield every call in the product that names a verb or a kind, with its module."""
    for floor in FLOORS:
        for path in sorted((ROOT / floor).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and node.keywords:
                    yield name, node


def named(node: ast.Call, function: str, keyword: str) -> ast.expr | None:
    if ast.unparse(node.func).rsplit(".", 1)[-1] != function:
        return None
    return next((each.value for each in node.keywords if each.arg == keyword), None)


def verbs() -> set[str]:
    found, made, switched = set(), set(), set()
    for module, node in calls():
        verb, kind = named(node, "record", "verb"), named(node, "switch", "kind")
        if isinstance(kind, ast.Constant):
            switched |= {f"{kind.value!s}.enable", f"{kind.value!s}.disable"}
        if isinstance(verb, ast.Constant):
            found.add(str(verb.value))
        elif verb is not None:
            made.add((module, ast.unparse(verb)))
    assert made == {*MADE, SWITCHED}, (
        "each expression that makes a verb stands in MADE, and none that is gone"
    )
    assert len(switched) >= 8
    return found | switched | {verb for several in MADE.values() for verb in several}


VERBS = sorted(verbs())


def test_verbs_are_words_and_all_that_people_look_for_is_among_them() -> None:
    assert not [verb for verb in VERBS if not re.fullmatch(r"[a-z_]{2,30}\.[a-z_]{2,29}", verb)]
    assert set(VERBS) >= WANTED and len(VERBS) > 90


@pytest.mark.django_db
def test_a_row_of_every_verb_is_drawn_and_exported(viewer_client: Client, administrator: User) -> None:
    kinds = ["user", "connector", "gateway", "task", "clientaccount", "no_such_kind", "items", "_x"]
    for number, verb in enumerate(VERBS):
        kind = kinds[number % len(kinds)]
        target = audit.Matter(kind, f"<i>object of {verb}", f"id-{number}")
        before, after = (ODD, {}) if number % 3 else ({}, ODD)
        audit.record(actor=administrator, verb=verb, target=target, before=before, after=after)
    text = ""
    for page in range(1, len(VERBS) // 100 + 2):
        answer = viewer_client.get(f"/audit/?size=100&page={page}")
        assert answer.status_code == 200
        text += answer.text
    assert not [verb for verb in VERBS if not re.search(f"object of {re.escape(verb)}[ <]", text)]
    assert "<i>" not in text and "<script>alert" not in text
    assert "Items: <ins>3</ins>" in text and "X: <ins>hidden</ins>" in text
    for url in ("/audit/audit.csv", "/audit/audit.json"):
        sent = viewer_client.get(url).getvalue().decode()
        assert not [verb for verb in VERBS if verb not in sent]


@pytest.mark.django_db
def test_rows_of_everything_that_services_write_are_drawn(viewer_client: Client, operator: User) -> None:
    everything(operator)
    answer = viewer_client.get("/audit/?size=100")
    assert answer.status_code == 200 and AuditRow.objects.count() >= 15
    for verb in set(AuditRow.objects.values_list("verb", flat=True)):
        assert f"<code>{verb}</code>" in answer.text


@pytest.mark.django_db
@pytest.mark.parametrize("values", [["a", "list"], "a text", 5, None, [], {"a": {}}])
def test_values_of_another_shape_are_drawn(
    viewer_client: Client, administrator: User, values: object
) -> None:
    row = audit.record(actor=administrator, verb="x.y", target=administrator)
    AuditRow(
        at=row.at, actor="x", verb="x.z", target_kind="x", before=values or {}, after=values or {}, digest="x"
    ).save(force_insert=True)
    assert viewer_client.get("/audit/").status_code == 200

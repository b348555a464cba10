"""Client accounts from a CSV file: what is seen before, what happens after, and what is refused."""

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.hashers import check_password, identify_hasher
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from console.models import AuditRow, Task, TaskItem
from console.work import tasks
from roaming.imports import services as imports
from roaming.models import AccountImport, ClientAccount, Instance
from tests.queries import queries
from tests.responses import Response
from tests.roaming.factories import AccountFactory, InstanceFactory, log_on

pytestmark = pytest.mark.django_db
HEADER = "username,email,password,bandwidth_kbps,static_ip\n"
GOOD = HEADER + "alice-ant,a@x.example,Winter-2026,3000,10.9.0.7\n,bobby@x.example,,,\n"


@pytest.fixture
def instance(db: None) -> Instance:
    return InstanceFactory(account_quota=5, cidrs=["10.9.0.0/24"])


@pytest.fixture
def upload(operator_client: Client, instance: Instance) -> Callable[..., Any]:
    """Post a file; the answer's page follows."""

    def send(content: bytes | str, client: Client = operator_client, **more: Any) -> Response:
        data = content if isinstance(content, bytes) else content.encode()
        form = {"file": SimpleUploadedFile("list.csv", data)} | more
        return client.post(reverse("roaming:import_new", args=[instance.pk]), form, follow=True)

    return send


def begin(client: Client, **data: str) -> Response:
    return client.post(reverse("roaming:import_start", args=[AccountImport.objects.get().pk]), data)


def work() -> Task:
    while tasks.work("tests"):
        pass
    return Task.objects.get()


def test_a_good_file_is_imported_in_the_background(
    operator_client: Client, upload: Callable[..., Any], post: Callable[..., Any], instance: Instance
) -> None:
    page = upload(GOOD).text
    assert "Import all 2" in page
    assert not ClientAccount.objects.exists(), "nothing before it was decided"
    answer = begin(operator_client)
    task = work()
    assert answer["Location"] == reverse("tasks:detail", args=[task.pk])
    assert (task.state, task.done, task.failed) == ("done", 2, 0)
    alice, bob = ClientAccount.objects.order_by("email_key")
    assert (alice.username, alice.bandwidth_kbps, alice.static_ip) == ("alice-ant", 3000, "10.9.0.7")
    assert (bob.username, bob.bandwidth_kbps, bob.static_ip) == ("bobby@x.example", 2000, None)
    body = {"instance": instance.pk, "username": "alice-ant", "password": "Winter-2026", "kind": "connect"}
    assert post("login", body).status_code == 200
    created = AuditRow.objects.filter(verb="account.create", target=bob.pk).get()
    assert created.actor == "operator"


def test_generated_passwords_are_handed_out_once_and_work(
    operator_client: Client, upload: Callable[..., Any]
) -> None:
    upload(GOOD)
    begin(operator_client)
    task = work()
    page = operator_client.get(reverse("tasks:detail", args=[task.pk])).text
    assert "Download results with passwords" in page
    answer = operator_client.post(reverse("tasks:secrets", args=[task.pk]))
    rows = {row["Item"]: row for row in csv.DictReader(io.StringIO(answer.getvalue().decode("utf-8-sig")))}
    assert rows["alice-ant"]["Password"] == "", "a given password is not told again"
    bob = ClientAccount.objects.get(username="bobby@x.example")
    assert check_password(rows["bobby@x.example"]["Password"], bob.password)
    assert operator_client.post(reverse("tasks:secrets", args=[task.pk])).status_code == 409
    page = operator_client.get(reverse("tasks:detail", args=[task.pk])).text
    assert "Download results with passwords" not in page


def test_no_password_lies_in_the_database_in_clear(
    operator_client: Client, upload: Callable[..., Any]
) -> None:
    upload(GOOD)
    assert "Winter" not in str(list(AccountImport.objects.values()))
    begin(operator_client)
    assert not AccountImport.objects.exists()
    assert "Winter" not in str(list(TaskItem.objects.values())) + str(list(Task.objects.values()))
    work()
    assert not TaskItem.objects.filter(name="alice-ant").exclude(secret="").exists()
    assert "Winter" not in str(list(AuditRow.objects.values()))


def test_the_hash_is_no_weaker_than_elsewhere(
    operator_client: Client, upload: Callable[..., Any], settings: Settings
) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
    upload("email,password\nalice@x.example,Winter-2026\n")
    begin(operator_client)
    work()
    stored = ClientAccount.objects.get().password
    hasher = identify_hasher(stored)
    assert hasher.algorithm == "argon2"
    assert not hasher.must_update(stored)


WRONG = [
    ("short,a@x.example,,,", "User name must be 7–33 characters"),
    ("alice-ant,no-address,,,", "E-mail must be 2–64 characters"),
    ("alice-ant,,,,", "E-mail must be 2–64 characters"),
    ("alice-ant,a@x.example,short,,", "Password must be 8–32 characters"),
    ("alice-ant,a@x.example,,0,", "Bandwidth must be 1–20,000 kbit/s."),
    ("alice-ant,a@x.example,,fast,", "bandwidth_kbps: “fast” is no whole number."),
    ("alice-ant,a@x.example,,2.000,", "“2.000” may mean 2000 or 2."),
    ("alice-ant,a@x.example,,2E+03,", "“2E+03” is a number that a spreadsheet shortened."),
    ("alice-ant,a@x.example,,,#NAME?", "stands for an error of a spreadsheet"),
    ("alice-ant,a@x.example,,٣,", "Bandwidth must be 1–20,000 kbit/s."),
    ("alice-ant,a@x.example,,,10.8.0.1", "10.8.0.1 is not a usable address of 10.9.0.0/24."),
    ("alice-ant,a@x.example,,,10.9.0.300", "Static IP must be an IPv4 address"),
    ("alice-ant,a@x.example,,,10.9.0.9", "10.9.0.9 belongs to another client account."),
    ("FIXED-one,a@x.example,,,", "has a client account named FIXED-one already."),
    ("GOOD-line,a@x.example,,,", "Line 2 has the user name GOOD-line already."),
    ("alice-ant,a@x.example,,,10.9.0.20", "10.9.0.20 is the static IP of line 2 already."),
    ("alice-ant,a@x.example,,,,more", "The line has 6 cells; the first line names 5 columns."),
]


@pytest.mark.parametrize(("line", "sentence"), WRONG, ids=[line for line, _ in WRONG])
def test_a_wrong_line_is_listed_and_nothing_imported(
    operator_client: Client, upload: Callable[..., Any], instance: Instance, line: str, sentence: str
) -> None:
    AccountFactory(instance=instance, username="fixed-one", static_ip="10.9.0.9")
    content = f"username,email,password,bandwidth_kbps,static_ip\ngood-line,g@x.example,,,10.9.0.20\n{line}\n"
    page = upload(content).text
    assert sentence in page
    assert "Import all" not in page
    answer = begin(operator_client)
    assert answer.status_code == 422
    assert "1 of 2 lines are wrong, so nothing was imported." in answer.text
    assert not Task.objects.exists()
    begin(operator_client, only_good="1")
    assert work().total == 1
    assert sorted(ClientAccount.objects.values_list("username", flat=True)) == ["fixed-one", "good-line"]


def test_a_leased_address_is_wrong(upload: Callable[..., Any], instance: Instance) -> None:
    session = log_on(AccountFactory(instance=instance))
    page = upload(f"email,static_ip\nalice@x.example,{session.client_ip}\n").text
    assert f"A live session has {session.client_ip}." in page


def test_lines_beyond_the_quota_are_wrong(upload: Callable[..., Any]) -> None:
    page = upload("email\n" + "".join(f"person{n}@x.example\n" for n in range(7))).text
    assert page.count("The quota of 5 client accounts leaves room for 5 more.") == 2


def test_what_changed_between_look_and_work_fails_alone(
    operator_client: Client, upload: Callable[..., Any], instance: Instance
) -> None:
    upload(GOOD)
    begin(operator_client)
    AccountFactory(instance=instance, username="Alice-Ant")
    task = work()
    assert (task.done, task.failed) == (2, 1)
    assert "has a client account named alice-ant already." in task.items.get(position=0).message


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "The submitted file is empty."),
        ("\n\n", "The file is empty."),
        ("username\nalice-ant\n", "names no column email"),
        ("email,shoe size\n", "names an unknown column “shoe size”"),
        ("email,e-mail\n", "names the column email twice"),
        ("email,Email\nx,y\n", "names the column email twice"),
        ("email\n", "has no line below"),
        ('email\n"unclosed', "a quotation mark opens a cell and none closes it"),
        (b"email\n\xff\xfe@x\n", "encoding of the file is not certain"),
        ("email\n\0@x\n", "Line 2 holds a NUL character"),
        ("email\n" + "a@x.example\n" * 20_001, "more than 20,000 accounts"),
        ("email\n" + "x" * 2**22, "larger than 4 MB"),
    ],
    ids=lambda value: None if isinstance(value, bytes) or len(value) > 60 else value,
)
def test_what_is_no_list_is_refused(upload: Callable[..., Any], content: bytes | str, sentence: str) -> None:
    answer = upload(content)
    assert answer.status_code == 422
    assert sentence in answer.text
    assert not AccountImport.objects.exists()


@pytest.mark.parametrize(
    "content", [GOOD.replace(",", ";"), GOOD.replace(",", "\t"), "\ufeff" + GOOD, GOOD.replace("\n", "\r\n")]
)
def test_what_spreadsheets_write_is_read(upload: Callable[..., Any], content: str) -> None:
    assert "Import all 2" in upload(content).text


def test_pasting_works_and_is_not_written_back(operator_client: Client, instance: Instance) -> None:
    url = reverse("roaming:import_new", args=[instance.pk])
    assert "Import all 2" in operator_client.post(url, {"text": GOOD}, follow=True).text
    refused = operator_client.post(url, {"text": GOOD.replace("email", "mail")})
    assert refused.status_code == 422
    assert "Winter-2026" not in refused.text
    both = {"text": GOOD, "file": SimpleUploadedFile("a.csv", GOOD.encode())}
    assert "not both" in operator_client.post(url, both).text


def test_passwords_are_not_shown_in_the_preview(upload: Callable[..., Any]) -> None:
    assert "Winter-2026" not in upload(GOOD + "short,x,Winter-2026,,\n").text


def test_an_upload_is_its_owners_and_is_used_once(
    operator_client: Client, administrator_client: Client, upload: Callable[..., Any]
) -> None:
    upload(GOOD)
    url = reverse("roaming:import", args=[AccountImport.objects.get().pk])
    assert administrator_client.get(url).status_code == 404
    assert begin(administrator_client).status_code == 404
    assert operator_client.get(url).status_code == 200
    begin(operator_client)
    assert operator_client.get(url).status_code == 404
    assert Task.objects.count() == 1


def test_an_upload_can_be_discarded_and_is_forgotten_after_a_day(
    operator_client: Client, upload: Callable[..., Any]
) -> None:
    upload(GOOD)
    operator_client.post(reverse("roaming:import_discard", args=[AccountImport.objects.get().pk]))
    assert not AccountImport.objects.exists()
    upload(GOOD)
    assert imports.imports_forget() == 0
    assert imports.imports_forget(timezone.now() + imports.KEEP * 2) == 1


def test_the_template_can_be_imported(operator_client: Client, upload: Callable[..., Any]) -> None:
    template = operator_client.get(reverse("roaming:import_template")).getvalue()
    assert "Import all 2" in upload(template).text


def test_the_preview_costs_the_same_for_many_lines(
    operator_client: Client, upload: Callable[..., Any]
) -> None:
    upload("email,static_ip\n" + "".join(f"person{n}@x.example,10.9.0.{n + 1}\n" for n in range(200)))
    preview = reverse("roaming:import", args=[AccountImport.objects.get().pk])
    assert len(queries(operator_client.get, preview)) <= 14


def exported(client: Client, instance: Instance, query: str = "") -> list[dict[str, str]]:
    answer = client.get(reverse("roaming:account_export", args=[instance.pk]) + query)
    return list(csv.DictReader(io.StringIO(answer.getvalue().decode("utf-8-sig"))))


def test_the_export_respects_search_and_filters(viewer_client: Client, instance: Instance) -> None:
    AccountFactory(instance=instance, username="alice-ant")
    AccountFactory(instance=instance, username="alice-bee", email="-dash@x.example")
    ClientAccount.objects.filter(username="alice-ant").update(enabled=False)
    AccountFactory(instance=instance, username="carol-cow")
    everybody = exported(viewer_client, instance)
    assert [row["username"] for row in everybody] == ["alice-ant", "alice-bee", "carol-cow"]
    narrowed = exported(viewer_client, instance, "?q=alice&enabled=1")
    assert [row["username"] for row in narrowed] == ["alice-bee"]
    assert exported(viewer_client, instance, "?sort=-username")[0]["username"] == "carol-cow"
    assert exported(viewer_client, instance)[1]["email"] == "'-dash@x.example", "no cell runs as a formula"
    page = viewer_client.get(reverse("roaming:accounts", args=[instance.pk]), {"q": "alice"}).text
    assert f"{reverse('roaming:accounts', args=[instance.pk])}?q=alice&amp;format=csv" in page


def test_an_exported_list_can_be_imported_elsewhere(
    operator_client: Client, viewer_client: Client, upload: Callable[..., Any]
) -> None:
    other = InstanceFactory(cidrs=["10.70.0.0/24"])
    AccountFactory(instance=other, username="alice-ant", email="-dash@x.example")
    content = viewer_client.get(reverse("roaming:account_export", args=[other.pk])).getvalue()
    assert "Import all 1" in upload(content).text
    begin(operator_client)
    work()
    assert ClientAccount.objects.filter(email="-dash@x.example").count() == 2

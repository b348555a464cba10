"""The shell: pages and fragments, forms and refusals, errors, the area, roles in the navigation."""

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client, RequestFactory

from console import ports
from console.kit import navigation, web
from console.models import Region, User
from console.ports import Entry
from console.templatetags import causeway
from tests.console.shell_site.fixtures import shell_site
from tests.queries import queries

__all__ = ["shell_site"]

PANEL = {"HX-Request": "true", "HX-Target": "panel"}
DIALOG = {"HX-Request": "true", "HX-Target": "dialog"}
TABLE = {"HX-Request": "true", "HX-Target": "table"}
NEW = {"area": "singapore", "name": "New", "users": "all"}


class GoneAway(io.BytesIO):
    """Body whose sender went away."""

    def read(self, size: int | None = -1) -> bytes:
        raise OSError("the sender went away")


@pytest.mark.usefixtures("shell_site")
class TestPanel:
    def test_a_plain_request_gets_a_whole_page(self, operator_client: Client) -> None:
        html = operator_client.get("/regions/add/").text
        assert "<title>Add region · Causeway</title>" in html
        assert "<h1>Add region</h1>" in html
        assert html.count("<form ") == html.count("</form>")

    def test_htmx_gets_the_fragment_with_the_same_form(self, operator_client: Client) -> None:
        html = operator_client.get("/regions/add/", headers=PANEL).text
        assert "<html" not in html
        assert '<h2 id="panel-title" tabindex="-1">Add region</h2>' in html
        assert 'name="name"' in html

    def test_a_dialog_likewise(self, operator_client: Client) -> None:
        assert "<html" in operator_client.get("/regions/cn-beijing/disable/").text
        html = operator_client.get("/regions/cn-beijing/disable/", headers=DIALOG).text
        assert "<html" not in html
        assert "Disable China (Beijing)" in html

    def test_success_redirects_and_the_message_follows(self, operator_client: Client) -> None:
        answer = operator_client.post("/regions/add/", NEW, follow=True)
        assert answer.redirect_chain == [("/regions/", 302)]
        assert "New was added." in answer.text

    def test_success_tells_htmx_where_to_go(self, operator_client: Client) -> None:
        answer = operator_client.post("/regions/add/", NEW, headers=PANEL)
        assert answer.status_code == 200
        assert json.loads(answer["HX-Location"])["path"] == "/regions/"
        assert "New was added." in operator_client.get("/regions/").text

    @pytest.mark.parametrize("headers", [{}, PANEL])
    def test_a_refusal_stands_beside_its_field_and_the_input_is_kept(
        self, operator_client: Client, headers: dict[str, str]
    ) -> None:
        values = NEW | {"name": "Frankfurt", "description": "kept <as> written"}
        answer = operator_client.post("/regions/add/", values, headers=headers)
        html = answer.text
        assert answer.status_code == 422
        assert 'id="id_name_error"' in html
        assert 'aria-describedby="id_name_helptext id_name_error"' in html
        assert 'aria-invalid="true"' in html
        assert "Another region has this name." in html
        assert "kept &lt;as&gt; written" in html
        assert 'value="Frankfurt"' in html

    def test_a_refusal_of_no_field_of_the_form_stands_above_it(self, operator_client: Client) -> None:
        answer = operator_client.post("/regions/add/", NEW | {"name": "nowhere"})
        assert answer.status_code == 422
        assert "There is no such field." in answer.text

    def test_a_switch_says_its_state_in_words(self, operator_client: Client) -> None:
        html = operator_client.get("/regions/add/").text
        assert 'role="switch"' in html
        assert "Enabled" in html
        assert "Disabled" in html


@pytest.mark.usefixtures("shell_site")
class TestErrors:
    def test_a_refusal_no_view_caught_becomes_a_page(self, client: Client) -> None:
        answer = client.get("/broken/refusal/")
        assert answer.status_code == 409
        assert "The connector is already disabled." in answer.text

    def test_and_for_htmx_a_notice_in_its_place(self, client: Client) -> None:
        answer = client.get("/broken/refusal/", headers=TABLE)
        assert answer.status_code == 409
        assert answer["HX-Retarget"] == "#notices"
        assert "<html" not in answer.text
        assert "HX-Retarget" not in client.get("/broken/refusal/", headers=PANEL)

    def test_a_lost_database_is_a_503_without_its_secrets(self, client: Client) -> None:
        answer = client.get("/broken/database/")
        assert answer.status_code == 503
        assert answer["Retry-After"]
        assert "cannot reach its database" in answer.text
        assert "secret-host" not in answer.text

    def test_the_503_page_asks_the_database_nothing(
        self, client: Client, django_assert_num_queries: Any
    ) -> None:
        with django_assert_num_queries(0):
            client.get("/broken/database/")

    def test_a_bug_is_a_500_without_its_details(self, client: Client) -> None:
        client.raise_request_exception = False
        answer = client.get("/broken/bug/")
        assert answer.status_code == 500
        assert "Something went wrong" in answer.text
        assert "nobody foresaw" not in answer.text

    def test_a_database_lost_before_the_view_is_a_503_too(
        self, viewer_client: Client, monkeypatch: Any
    ) -> None:
        from django.db import OperationalError, connection

        def lost(*args: Any, **kwargs: Any) -> Any:
            raise OperationalError("gone")

        viewer_client.raise_request_exception = False
        with connection.execute_wrapper(lost):
            answer = viewer_client.get("/regions/")
        assert answer.status_code == 503
        assert "cannot reach its database" in answer.text

    @pytest.mark.parametrize("path", ["/nothing/", "/regions/none-such/"])
    def test_not_found_says_so_and_offers_a_way_on(self, viewer_client: Client, path: str) -> None:
        answer = viewer_client.get(path)
        assert answer.status_code == 404
        assert "There is nothing at this address." in answer.text
        assert "Go to the overview" in answer.text
        assert "matches the given query" not in answer.text

    def test_not_found_works_logged_out(self, client: Client) -> None:
        assert client.get("/nothing/").status_code == 404

    def test_too_low_a_role_gets_a_sentence(self, viewer_client: Client) -> None:
        answer = viewer_client.get("/regions/add/")
        assert answer.status_code == 403
        assert "This needs the role of operator." in answer.text

    def test_a_body_that_breaks_off_is_the_senders_fault(self, viewer_client: Client) -> None:
        form: dict[str, Any] = {"CONTENT_TYPE": "application/x-www-form-urlencoded", "CONTENT_LENGTH": "9"}
        answer = viewer_client.generic("POST", "/area/", **form | {"wsgi.input": GoneAway()})
        assert answer.status_code == 400 and "could not be understood" in answer.text

    def test_a_wrong_method_says_which_are_right(self, operator_client: Client) -> None:
        answer = operator_client.get("/regions/cn-beijing/delete/")
        assert answer.status_code == 405
        assert answer["Allow"] == "POST"
        assert "answers POST only" in answer.text

    def test_a_form_without_its_token_is_refused_in_words(self, operator: User) -> None:
        client = Client(enforce_csrf_checks=True)
        client.force_login(operator, backend="django.contrib.auth.backends.ModelBackend")
        answer = client.post("/regions/add/", NEW)
        assert answer.status_code == 403
        assert "Reload the page and try again." in answer.text
        assert not Region.objects.filter(name="New").exists()

    @pytest.mark.parametrize("headers", [PANEL, TABLE])
    def test_htmx_without_a_session_is_sent_to_the_log_in_page(
        self, client: Client, headers: dict[str, str]
    ) -> None:
        here = {"HX-Current-URL": "http://testserver/regions/?page=2"}
        answer = client.get("/regions/add/", headers=headers | here)
        assert answer["HX-Redirect"] == "/log-in/?next=/regions/%3Fpage%3D2"

    @pytest.mark.parametrize("url", ["http://[", "http://[v1.x]/", "", "\xff", "//evil.example/audit/"])
    def test_and_so_is_htmx_that_names_no_page(self, client: Client, url: str) -> None:
        answer = client.get("/regions/", headers=TABLE | {"HX-Current-URL": url})
        assert answer.status_code == 200 and answer["HX-Redirect"] == "/log-in/?next=/regions/"

    def test_and_never_to_another_site_afterwards(self, client: Client) -> None:
        here = {"HX-Current-URL": "https://evil.example/regions/"}
        assert client.get("/regions/", headers=TABLE | here)["HX-Redirect"] == "/log-in/?next=/regions/"


@pytest.mark.usefixtures("shell_site")
class TestLogIn:
    def test_a_wrong_password_is_refused_above_the_form(self, client: Client) -> None:
        answer = client.post("/log-in/", {"username": "nobody", "password": "wrong"})
        assert 'role="alert"' in answer.text
        assert "correct username and password" in answer.text

    def test_too_many_attempts_lock_for_a_while(self, client: Client) -> None:
        for _ in range(5):
            answer = client.post("/log-in/", {"username": "nobody", "password": "wrong"})
        assert answer.status_code == 429
        assert "Too many attempts" in answer.text
        assert "15 minutes" in answer.text

    def test_logging_out_says_what_it_does_not_end(self, viewer_client: Client) -> None:
        answer = viewer_client.post("/log-out/")
        assert "You are logged out" in answer.text


@pytest.mark.usefixtures("shell_site")
class TestArea:
    def test_the_first_area_until_one_is_chosen(self, viewer_client: Client) -> None:
        assert viewer_client.get("/regions/").context["area"].pk == "mainland-china"

    def test_the_choice_is_remembered_and_leads_back(self, viewer_client: Client) -> None:
        answer = viewer_client.post("/area/", {"area": "singapore", "next": "/regions/?q=x"})
        assert (answer.status_code, answer["Location"]) == (302, "/regions/?q=x")
        assert viewer_client.get("/regions/").context["area"].pk == "singapore"

    @pytest.mark.parametrize(
        "url",
        ["//evil.example/", "/\\evil.example/", "https://evil.example/", "javascript:alert(1)", "7", ""],
    )
    def test_it_does_not_lead_to_another_site(self, viewer_client: Client, url: str) -> None:
        assert viewer_client.post("/area/", {"area": "singapore", "next": url})["Location"] == "/"

    def test_an_unknown_area_is_refused_with_the_legal_ones(self, viewer_client: Client) -> None:
        answer = viewer_client.post("/area/", {"area": "atlantis"})
        assert answer.status_code == 400
        assert "mainland-china" in answer.text

    def test_a_forged_cookie_is_ignored(self, viewer_client: Client) -> None:
        viewer_client.cookies["area"] = "atlantis"
        assert viewer_client.get("/regions/").context["area"].pk == "mainland-china"

    def test_the_theme_is_remembered_even_logged_out(self, client: Client) -> None:
        client.post("/theme/", {"theme": "dark", "next": "/log-in/"})
        assert 'data-theme="dark"' in client.get("/log-in/").text
        assert client.post("/theme/", {"theme": "pink"}).status_code == 400
        client.cookies["theme"] = '"><script>'
        assert 'data-theme="system"' in client.get("/log-in/").text


@pytest.mark.usefixtures("shell_site")
def test_a_list_page_stays_within_its_budgets(viewer_client: Client) -> None:
    Region.objects.bulk_create(
        Region(pk=f"r-{n}", name=f"Region {n}", area_id="singapore", position=9) for n in range(100)
    )
    assert len(queries(viewer_client.get, "/regions/")) <= 8
    assert len(viewer_client.get("/regions/").content) < 90_000


@pytest.mark.usefixtures("shell_site")
def test_pages_have_no_inline_script_or_style(operator_client: Client) -> None:
    for path in ("/regions/", "/regions/add/", "/regions/cn-beijing/", "/nothing/"):
        html = operator_client.get(path).text
        assert " style=" not in html
        assert "<style" not in html
        assert "<script>" not in html
        assert " onclick=" not in html


class TestNavigation:
    @pytest.fixture(autouse=True)
    def _own_entries(self, monkeypatch: pytest.MonkeyPatch, shell_site: None) -> None:
        monkeypatch.setattr(ports, "navigation", ports.NamedPort())
        ports.navigation.add("overview", Entry(ports.OVERVIEW, "Overview", 0))
        ports.navigation.add("trial_list", Entry(ports.OPERATIONS, "Regions", 10))
        ports.navigation.add("trial_add", Entry(ports.OPERATIONS, "Add", 20, role="operator"))
        ports.navigation.add("no:such", Entry(ports.OPERATIONS, "Later", 30))

    def labels(self, user: User, path: str = "/") -> dict[str, bool]:
        return {link.label: link.current for group in navigation.groups(user, path) for link in group.links}

    def test_each_role_sees_what_it_may_use(self, viewer: User, operator: User) -> None:
        assert list(self.labels(viewer)) == ["Overview", "Regions"]
        assert list(self.labels(operator)) == ["Overview", "Regions", "Add"]

    def test_the_nearest_entry_is_the_current_one(self, operator: User) -> None:
        assert self.labels(operator, "/")["Overview"]
        assert self.labels(operator, "/regions/cn-beijing/")["Regions"]
        assert self.labels(operator, "/regions/add/") == {"Overview": False, "Regions": False, "Add": True}
        assert not any(self.labels(operator, "/elsewhere/").values())


def test_the_panel_can_stay_open_after_success() -> None:
    from django_htmx.middleware import HtmxDetails

    request = RequestFactory().post("/x/", headers=PANEL)
    request.htmx = HtmxDetails(request)  # type: ignore[attr-defined]
    location = json.loads(web.done(request, "/x/", into="panel")["HX-Location"])
    assert location == {"path": "/x/", "target": "#panel", "swap": "innerHTML"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "—"),
        (0, "0 bit/s"),
        (999, "999 bit/s"),
        (1000, "1 kbit/s"),
        (1_500_000, "1.5 Mbit/s"),
        (999_960, "1 Mbit/s"),
        (20e12, "20 Tbit/s"),
        (float("nan"), "—"),
    ],
)
def test_bit_rates_have_si_prefixes(value: float | None, text: str) -> None:
    assert causeway.bitrate(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "—"), (0, "0 B"), (1023, "1023 B"), (1024, "1 KB"), (1536, "1.5 KB"), (50 * 2**20, "50 MB")],
)
def test_bytes_have_binary_steps(value: float | None, text: str) -> None:
    assert causeway.bytes_(value) == text


def test_times_carry_the_whole_iso_time() -> None:
    moment = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
    assert 'title="2026-11-21T09:30:00+00:00"' in causeway.datetime_iso(moment)
    assert "3 hours ago" in causeway.ago(datetime.now(UTC) - timedelta(hours=3, seconds=1))
    assert causeway.ago(None) == causeway.datetime_iso(None) == causeway.dash(None) == "—"
    assert causeway.dash(0) == 0


def test_an_id_is_escaped_wherever_it_stands() -> None:
    assert "<b>" not in causeway.object_id('"><b>') + causeway.badge("muted", "<b>") + causeway.copy("<b>")


@pytest.mark.parametrize("path", ["/a%0D%0Ab", "/edge/v1/%0A", "/admin/console/%0d%0a/history/"])
def test_a_line_end_in_a_path_is_a_page_not_found(administrator_client: Client, path: str) -> None:
    assert administrator_client.get(path).status_code in (302, 404)

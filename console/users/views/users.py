"""Pages by which administrators manage users of the console."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.urls import reverse

from console.core import password_links, people, second_factor, sessions
from console.core.access import actor, acts, shows, takes_form
from console.core.models.access import User
from console.kit import tables, web
from console.users import mail, selectors
from console.users.forms import MAIL, LinkForm, UserAddForm, UserForm

TABLE = tables.Table(
    columns=(
        tables.Column("name", "User name", ("username",)),
        tables.Column("email", "E-mail", ("email",)),
        tables.Column("role", "Role", ("role",)),
        tables.Column("state", "State"),
        tables.Column("last_login", "Last log-in", ("last_login",)),
        tables.Column("live", "Logged in", ("live",), align="end"),
        tables.Column("actions", "Actions"),
    ),
    row_template="console/users/_row.html",
    search=("username", "email", "first_name", "last_name"),
    search_label="Search by name or e-mail",
    filters=(
        tables.Filter("role", "Role", User.Role.choices),
        tables.Filter(
            "state",
            "State",
            [("enabled", "Enabled"), ("invited", "Invited"), ("disabled", "Disabled")],
            selectors.with_state,
        ),
    ),
    default_sort="name",
    label="Users",
    csv=(
        ("user_name", "username"),
        ("name", "get_full_name"),
        ("email", "email"),
        ("role", "get_role_display"),
        ("enabled", "is_active"),
        ("last_log_in", "last_login"),
        ("logged_in", "live"),
    ),
)
LIST = "users:list"
ACTS = {
    "disable": "users:disable",
    "sign out": "users:sign_out",
    "reset": "users:reset_factor",
    "delete": "users:delete",
}
FIELDS = ("email", "first_name", "last_name", "role", "is_staff")


@shows("administrator")
def user_list(request: HttpRequest) -> HttpResponseBase:
    page = TABLE.page(request, selectors.users())
    return tables.render(request, "console/users/list.html", page)


@takes_form("administrator")
def user_add(request: HttpRequest) -> HttpResponse:
    form = UserAddForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        values = dict(form.cleaned_data)
        way = values.pop("way")
        with web.refusals_in(form):
            user, token = password_links.user_invite(actor=actor(request), **values)
            return _told(request, user, token, way, f"{user.username} was added.")
    return web.form_page(request, "console/users/add.html", {"form": form})


@takes_form("administrator")
def user_edit(request: HttpRequest, user_id: int) -> HttpResponse:
    user = get_object_or_404(User, pk=user_id)
    form = UserForm(request.POST or None, initial={name: getattr(user, name) for name in FIELDS})
    if request.method == "POST" and form.is_valid():
        with web.refusals_in(form):
            people.user_update(user=user, actor=actor(request), **form.cleaned_data)
            return web.done(request, reverse(LIST), f"{user.username} was changed.")
    context = {"form": form, "person": user, "log_ins": sessions.live(user)[:50]}
    return web.form_page(request, "console/users/edit.html", context)


@takes_form("administrator")
def user_link(request: HttpRequest, user_id: int) -> HttpResponse:
    """Make a one-use link by which a user sets the own password; the present password holds until then."""
    user = get_object_or_404(User, pk=user_id)
    form = LinkForm(request.POST or None, user=user)
    if request.method == "POST" and form.is_valid():
        with web.refusals_in(form):
            token = password_links.link_create(user=user, actor=actor(request))
            return _told(request, user, token, form.cleaned_data["way"], "")
    return web.form_page(request, "console/users/link.html", {"form": form, "person": user})


def _told(request: HttpRequest, user: User, token: str, way: str, done: str) -> HttpResponse:
    """Mail a link, or show the link in this answer and nowhere else, as well when the mail could not be sent."""
    url = settings.PUBLIC_URL + reverse("password_link", args=[token])
    problem = mail.link_sent_or_why(user, url, actor(request)) if way == MAIL else ""
    if way == MAIL and not problem:
        said = f"A link to set a password was mailed to {user.email}."
        return web.done(request, reverse(LIST), f"{done} {said}".strip())
    context = {"person": user, "url": url, "problem": problem, "done": done}
    return render(request, "console/users/linked.html", context)


@shows("administrator")
def user_confirm(request: HttpRequest, user_id: int, act: str) -> HttpResponse:
    """Ask before a user is disabled, signed out or deleted, or loses the second factor."""
    user = get_object_or_404(selectors.users(), pk=user_id)
    url = ACTS[act]
    consequence = {
        "disable": "The user is logged out everywhere at once and cannot log in until the user is enabled again.",
        "sign out": "The user is logged out of every browser at once, and may log in again.",
        "reset": "The user logs in by the password alone until another second factor is set up. "
        "Make sure by another way that it was the user who asked for this.",
        "delete": "The user and the user's access keys are gone for good. The audit keeps what the user did. "
        "To keep the user out for a while, disable the user.",
    }[act]
    question = {"action": reverse(url, args=[user.pk]), "back": reverse(LIST), "consequence": consequence}
    verb = "Reset second factor of" if act == "reset" else act.capitalize()
    return web.ask(request, verb, user.username, **question)


@acts("administrator")
def user_switch(request: HttpRequest, user_id: int, enabled: bool) -> HttpResponse:
    user = get_object_or_404(User, pk=user_id)
    people.user_switch(user=user, enabled=enabled, actor=actor(request))
    said = "may log in again" if enabled else "is disabled and logged out everywhere"
    return web.done(request, reverse(LIST), f"{user.username} {said}.")


@acts("administrator")
def user_sign_out(request: HttpRequest, user_id: int) -> HttpResponse:
    """End every log-in of a user; an administrator's own one stays."""
    user = get_object_or_404(User, pk=user_id)
    own = sessions.public_id(request) if user == request.user else ""
    number = people.log_ins_end(user=user, actor=actor(request), but=own)
    ended = f"{number} log-in{'s' if number != 1 else ''} of {user.username} ended."
    return web.done(request, reverse(LIST), ended)


@acts("administrator")
def user_reset_factor(request: HttpRequest, user_id: int) -> HttpResponse:
    user = get_object_or_404(User, pk=user_id)
    second_factor.factor_reset(user=user, actor=actor(request))
    return web.done(request, reverse(LIST), f"The second factor of {user.username} was taken away.")


@acts("administrator")
def user_delete(request: HttpRequest, user_id: int) -> HttpResponse:
    user = get_object_or_404(User, pk=user_id)
    people.user_delete(user=user, actor=actor(request))
    return web.done(request, reverse(LIST), f"{user.username} was deleted.")

"""The access check: an account and a destination, and what the gateways answer."""

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from connectors import naming
from connectors.access_check import World
from console.access import role_required
from edge.decision import Destination
from edge.hosts import HostInvalid
from roaming.models import ClientAccount

PORT_SENTENCE = "Port must be a whole number from 1 to 65,535."
SUGGESTIONS = 20
MOST_WITHOUT = 50


class AccessCheckForm(forms.Form):
    account = forms.CharField(
        label="Client account",
        max_length=200,
        help_text="User name@instance ID, or the account's ID.",
        widget=forms.TextInput(
            {"list": "account-options", "autocomplete": "off", "spellcheck": "false", "autocapitalize": "off"}
        ),
        error_messages={
            "required": "Client account is required: user name@instance ID, or the account's ID."
        },
    )
    host = forms.CharField(
        label="Host",
        max_length=260,
        required=False,
        help_text="Host name or IP address. Empty: what the account reaches.",
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off"}),
    )
    port = forms.IntegerField(
        label="Port",
        min_value=1,
        max_value=65535,
        required=False,
        error_messages=dict.fromkeys(("invalid", "min_value", "max_value"), PORT_SENTENCE),
    )
    protocol = forms.ChoiceField(
        label="Protocol",
        choices=[("TCP", "TCP"), ("UDP", "UDP")],
        required=False,
        error_messages={"invalid_choice": "Protocol must be TCP or UDP."},
    )

    def clean_account(self) -> ClientAccount:
        text = self.cleaned_data["account"].strip()
        found = naming.named([text]).get(text.lower())
        if found is None:
            raise forms.ValidationError(
                f"There is no client account “{text[:80]}”. Write user name@instance ID, or its ID."
            )
        return found

    def clean(self) -> dict[str, Any]:
        """``destination``: None when no host was given."""
        values = super().clean() or {}
        host, port = values.get("host", "").strip(), values.get("port")
        values["destination"] = None
        if not host and port and "host" not in self.errors:
            self.add_error("host", "Give the host that the port belongs to, or leave both empty.")
        elif host and "port" not in self.errors:
            try:
                values["destination"] = _destination(host, port)
            except HostInvalid as error:
                self.add_error("host", str(error))
        return values


def _destination(host: str, port: int | None) -> Destination:
    """As gateways read it; ``host:port`` may stand in one. Raises ``HostInvalid``."""
    if port is None:
        return Destination.parse(host)
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    return Destination.parse(f"{host}:{port}")


def _as_it_is(request: HttpRequest) -> str:
    """The query string of the same question with everything switched as it is."""
    query = request.GET.copy()
    query.pop("without", None)
    return query.urlencode()


@require_safe
@role_required("viewer")
def access_check(request: HttpRequest) -> HttpResponse:
    """Reads only: the question stands in the query string, so that an answer can be passed on as a link.

    ``without``, as often as wanted: the id of a policy or connector that is taken as switched off.
    """
    form = AccessCheckForm(request.GET or None)
    context: dict[str, Any] = {"form": form}
    if form.is_bound and form.is_valid():
        values = form.cleaned_data
        world = World(values["account"], list(dict.fromkeys(request.GET.getlist("without")))[:MOST_WITHOUT])
        context |= {"account": values["account"], "destination": values["destination"], "udp": False}
        context |= {"off": world.off, "unknown": world.unknown, "as_it_is": _as_it_is(request)}
        if values["destination"] is None:
            context |= {"reachable": world.reachable(), "gateways": world.gateways, "silent": world.silent}
        elif values["protocol"] == "UDP":
            context["udp"] = True
        else:
            context["check"] = world.check(values["destination"])
    elif "account" in form.errors:
        context["suggestions"] = naming.find(request.GET.get("account", ""), SUGGESTIONS)
    status = 422 if form.is_bound and form.errors else 200
    return render(request, "connectors/access_check.html", context, status=status)


@require_safe
@role_required("viewer")
def access_check_accounts(request: HttpRequest) -> HttpResponse:
    """What the field of the account offers while it is typed in."""
    found = naming.find(request.GET.get("account", ""), SUGGESTIONS)
    return render(request, "connectors/_account_options.html", {"accounts": found})

"""Page of the access check: an account and a destination, and what the gateways answer."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from connectors.policies import naming
from connectors.policies.access_check import World
from connectors.policies.forms import AccessCheckForm
from console.core.access import shows

SUGGESTIONS = 20
MOST_WITHOUT = 50


def _as_it_is(request: HttpRequest) -> str:
    """Return the query string of the same question with everything switched as it is."""
    query = request.GET.copy()
    query.pop("without", None)
    return query.urlencode()


@shows("viewer")
def access_check(request: HttpRequest) -> HttpResponse:
    """Answer a question and change nothing; the question stands in the query string, so that a link passes it on.

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


@shows("viewer")
def access_check_accounts(request: HttpRequest) -> HttpResponse:
    """Offer accounts while somebody types into the field of the account."""
    found = naming.find(request.GET.get("account", ""), SUGGESTIONS)
    return render(request, "connectors/_account_options.html", {"accounts": found})

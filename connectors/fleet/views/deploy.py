"""Deploy panel of a connector; ``console.machines.views.deploy`` serves what the panel's commands fetch."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.cache import never_cache

from connectors.fleet.models.connectors import Connector
from console.core.access import actor, acts, has_role, takes_form
from console.core.errors import Forbidden
from console.kit import web
from console.machines import deploy, enrollment


@takes_form("viewer")
@never_cache
def connector_deploy(request: HttpRequest, connector_id: str) -> HttpResponse:
    """Show the commands for a server. A POST makes a one-use code, which no other answer shows again."""
    connector = get_object_or_404(Connector, pk=connector_id)
    context: dict[str, object] = {"connector": connector, "may_write": has_role(request.user, "operator")}
    if request.method == "POST":
        if not context["may_write"]:
            raise Forbidden("This needs the role of operator. Ask an administrator for that role.")
        code, record = enrollment.code_create(
            kind="server", target=connector.pk, actor=actor(request), click=deploy.click_of(request)
        )
        context |= {"code": code, "record": record}
    return render(request, "connectors/deploy.html", context | deploy.panel("connector", connector.pk))


@acts("operator")
def code_revoke(request: HttpRequest, connector_id: str) -> HttpResponse:
    """Revoke a code, named in the body: what stands in a URL stands in logs as well."""
    connector = get_object_or_404(Connector, pk=connector_id)
    digest = request.POST.get("code", "")[:64].replace("\0", "")
    enrollment.code_revoke(target=connector.pk, digest=digest, actor=actor(request))
    url = reverse("connectors:deploy", args=[connector.pk])
    return web.done(request, url, "The code was revoked; nobody can use it any more.", into="panel")

"""Pages *How to connect*, of an instance and of a client account."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from console.core.access import shows
from roaming.accounts.models import ClientAccount
from roaming.accounts.selectors import account_or_404
from roaming.connecting import destinations
from roaming.connecting.ways import LOCAL_PAC, ca_url, gateways_of, ways
from roaming.instances.models import Instance
from roaming.instances.selectors import instance_alone_or_404


@shows("viewer")
def instance_connect(request: HttpRequest, instance_id: str) -> HttpResponse:
    instance = instance_alone_or_404(instance_id)
    return render(request, "roaming/connecting/instance.html", _context(instance, None) | {"tab": "connect"})


@shows("viewer")
def account_connect(request: HttpRequest, account_id: str) -> HttpResponse:
    account = account_or_404(account_id)
    return render(request, "roaming/connecting/account.html", _context(account.instance, account))


def _context(instance: Instance, account: ClientAccount | None) -> dict[str, Any]:
    gateways = gateways_of(instance)
    context: dict[str, Any] = {"instance": instance, "account": account, "gateways": gateways}
    if gateways:
        hosts = destinations.named(account)
        context["ways"] = ways(instance, account, gateways[0], hosts)
    return context | {"ca_url": ca_url(), "local_pac": LOCAL_PAC}

"""Question and action by which one of two machines of the same identity is told to enroll anew."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse

from console.core.access import actor, acts, shows
from console.kit import web
from console.machines import clones, logs
from console.machines.models.starts import AgentStart

CONSEQUENCE = (
    "The agent at {address} is refused from now on: it ends its Envoy with all connections through that machine, gives "
    "up its keys, and says that the deploy command has to be run there again. The other machine goes on as {name}."
)


def _copy(machine_id: str, copy_id: int) -> AgentStart:
    return get_object_or_404(AgentStart, key=machine_id, pk=copy_id)


@shows("operator")
def confirm(request: HttpRequest, machine_id: str, copy_id: int) -> HttpResponse:
    copy = _copy(machine_id, copy_id)
    back = web.safe_next(request, reverse("overview"))
    return web.ask(
        request,
        "Enroll anew",
        copy,
        action=reverse("clones:enroll_anew", args=[machine_id, copy_id]),
        back=back,
        next=back,
        consequence=CONSEQUENCE.format(address=copy, name=logs.name_of(machine_id)),
    )


@acts("operator")
def enroll_anew(request: HttpRequest, machine_id: str, copy_id: int) -> HttpResponse:
    copy = _copy(machine_id, copy_id)
    name = logs.name_of(machine_id)
    clones.enroll_anew(machine=machine_id, start=copy.start, name=name, actor=actor(request))
    message = f"{copy} has to enroll anew. The other machine goes on as {name}."
    return web.done(request, web.safe_next(request, reverse("overview")), message)

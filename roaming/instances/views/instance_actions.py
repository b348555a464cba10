"""Dialogs that change, start, stop, kick and delete an instance: the question names what breaks, then comes the act."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from console.core.access import actor, acts, shows, takes_form
from console.kit import web
from roaming.accounts import dependants
from roaming.instances import deletion, services
from roaming.instances.forms import InstanceEditForm
from roaming.instances.models import Instance
from roaming.instances.selectors import dependants_of, instance_or_404
from roaming.sessions import services as sessions


def _url(instance: Instance) -> str:
    return reverse("roaming:instance", args=[instance.pk])


@takes_form("operator")
def instance_edit(request: HttpRequest, instance_id: str) -> HttpResponse:
    instance = instance_or_404(instance_id)
    present = {name: getattr(instance, name) for name in ("name", "description", "account_quota")}
    form = InstanceEditForm(request.POST or None, initial=present)
    if request.method == "POST" and form.is_valid():
        with web.refusals_in(form):
            changed = services.instance_update(instance=instance, **form.cleaned_data, actor=actor(request))
            return web.done(request, _url(instance), f"{changed.name} was changed.")
    context = {"form": form, "instance": instance}
    return web.form_page(request, "roaming/instances/edit.html", context)


@acts("operator")
def instance_switch(request: HttpRequest, instance_id: str, started: bool) -> HttpResponse:
    instance = instance_or_404(instance_id)
    switch, said = (services.instance_start, "started") if started else (services.instance_stop, "stopped")
    switch(instance=instance, actor=actor(request))
    return web.done(request, _url(instance), f"{instance.name} was {said}.")


def _ask(request: HttpRequest, act: str, instance: Instance, **context: Any) -> HttpResponse:
    return web.ask(
        request,
        act.capitalize(),
        instance.name,
        action=reverse(f"roaming:instance_{act}", args=[instance.pk]),
        template=f"roaming/instances/confirm_{act}.html",
        instance=instance,
        **{"back": _url(instance), **context},
    )


@shows("operator")
def instance_confirm_stop(request: HttpRequest, instance_id: str) -> HttpResponse:
    return _ask(request, "stop", instance_or_404(instance_id))


@shows("operator")
def instance_confirm_kick(request: HttpRequest, instance_id: str) -> HttpResponse:
    return _ask(
        request, "kick", instance_or_404(instance_id), back=reverse("roaming:sessions", args=[instance_id])
    )


@acts("operator")
def instance_kick(request: HttpRequest, instance_id: str) -> HttpResponse:
    instance = instance_or_404(instance_id)
    ended = sessions.sessions_end(instance=instance, actor=actor(request))
    message = f"{ended:,} session{'s' if ended != 1 else ''} of {instance.name} ended."
    return web.done(request, reverse("roaming:sessions", args=[instance.pk]), message)


@shows("operator")
def instance_confirm_delete(request: HttpRequest, instance_id: str) -> HttpResponse:
    instance = instance_or_404(instance_id)
    return _ask(
        request,
        "delete",
        instance,
        dependants=dependants_of(instance),
        naming=dependants.naming(instance.accounts.all()),
        in_background=getattr(instance, "accounts_used", 0) > deletion.MOST_ACCOUNTS,
    )


@acts("operator")
def instance_delete(request: HttpRequest, instance_id: str) -> HttpResponse:
    instance = instance_or_404(instance_id)
    with_accounts = bool(request.POST.get("with_accounts"))
    task = deletion.instance_delete(instance=instance, with_accounts=with_accounts, actor=actor(request))
    if task is not None:
        message = f"{instance.name} is cut off and being deleted."
        return web.done(request, reverse("tasks:detail", args=[task.pk]), message)
    return web.done(request, reverse("roaming:instances"), f"{instance.name} was deleted.")

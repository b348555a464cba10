"""Pages of Settings ▸ Message push: channels, and the outbox."""

from django.db.models import Count, Max, Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django.views.decorators.debug import sensitive_post_parameters

from console.core.access import actor, acts, shows, takes_form
from console.kit import tables, web
from console.push import services
from console.push.forms import KINDS, ChannelForm
from console.push.models import PushChannel, PushDelivery

TABLE = tables.Table(
    columns=(
        tables.Column("name", "Name/ID", ("name",)),
        tables.Column("kind", "Kind", ("kind",)),
        tables.Column("destination", "Destination"),
        tables.Column("switch", "Switch", ("enabled",)),
        tables.Column("state", "Last attempt"),
        tables.Column("waiting", "Waiting", align="end"),
        tables.Column("actions", "Actions"),
    ),
    row_template="console/push/_row.html",
    search=("name", "id"),
    default_sort="name",
    label="Channels",
    empty="There is no channel yet",
    empty_hint="Alert settings only take effect after you configure message push. Add a channel.",
    live_seconds=5,
    csv=(
        ("name", "name"),
        ("id", "pk"),
        ("kind", "get_kind_display"),
        ("destination", "destination"),
        ("enabled", "enabled"),
        ("failed", "failed_at"),
        ("failure", "failure"),
        ("delivered", "delivered_at"),
        ("waiting", "waiting"),
    ),
)
DELIVERIES = tables.Table(
    columns=(
        tables.Column("at", "Time", ("id",)),
        tables.Column("message", "Message"),
        tables.Column("channel", "Channel", ("channel__name",)),
        tables.Column("state", "State", ("state",)),
        tables.Column("attempts", "Attempts", ("attempts",), align="end"),
        tables.Column("answer", "Last answer"),
        tables.Column("actions", "Actions"),
    ),
    row_template="console/push/_delivery_row.html",
    search=("message__title", "message__id", "channel__name"),
    search_label="Search by message or channel",
    filters=(tables.Filter("state", "State", PushDelivery.State.choices),),
    default_sort="-at",
    label="Messages",
    empty="Nothing was sent yet",
    empty_hint="Messages of the last 30 days are listed here, with what their receivers answered.",
    live_seconds=5,
    csv=(
        ("time", "created_at"),
        ("message", "message.title"),
        ("message_id", "message_id"),
        ("channel", "channel.name"),
        ("state", "get_state_display"),
        ("attempts", "attempts"),
        ("answer", "answer"),
        ("ended", "ended_at"),
    ),
)
LIST = "push:list"


@shows("viewer")
def channel_list(request: HttpRequest) -> HttpResponseBase:
    waiting = Count("deliveries", filter=Q(deliveries__state="waiting"))
    given_up = Max("deliveries__ended_at", filter=Q(deliveries__state="failed"))
    page = TABLE.page(request, PushChannel.objects.annotate(waiting=waiting, given_up_at=given_up))
    return tables.render(request, "console/push/list.html", page)


@shows("viewer")
def delivery_list(request: HttpRequest) -> HttpResponseBase:
    page = DELIVERIES.page(request, PushDelivery.objects.select_related("message", "channel"))
    return tables.render(request, "console/push/deliveries.html", page)


@shows("operator")
def channel_choose(request: HttpRequest) -> HttpResponse:
    """Ask for the kind of channel to add."""
    kinds = [(kind.value, kind.label, hint) for kind, hint in KINDS.items()]
    return render(request, "console/push/choose.html", {"kinds": kinds})


@sensitive_post_parameters("url", "secret")
@takes_form("operator")
def channel_add(request: HttpRequest, kind: str) -> HttpResponse:
    """Add a channel. A webhook's secret is shown in the answer to the POST and nowhere else."""
    if kind not in PushChannel.Kind.values:
        raise Http404
    form = ChannelForm(kind, request.POST or None)
    if request.method == "POST" and form.is_valid():
        with web.refusals_in(form):
            channel, secret = services.channel_create(kind=kind, actor=actor(request), **form.cleaned_data)
            if secret:
                return _tell(request, channel, secret, "was added")
            return web.done(request, reverse(LIST), f"{channel.name} was added. Test it next.")
    label = PushChannel.Kind(kind).label
    return web.form_page(request, "console/push/add.html", {"form": form, "kind": kind, "label": label})


def _tell(request: HttpRequest, channel: PushChannel, secret: str, done: str) -> HttpResponse:
    context = {"channel": channel, "secret": secret, "done": done}
    response = render(request, "console/push/secret.html", context)
    add_never_cache_headers(response)
    return response


@sensitive_post_parameters("url", "secret")
@takes_form("operator")
def channel_edit(request: HttpRequest, channel_id: str) -> HttpResponse:
    channel = get_object_or_404(PushChannel, pk=channel_id)
    recipients = channel.destination.replace(", ", "\n") if channel.kind == "email" else ""
    initial = {"name": channel.name, "recipients": recipients}
    form = ChannelForm(channel.kind, request.POST or None, initial=initial, existing=True)
    if request.method == "POST" and form.is_valid():
        with web.refusals_in(form):
            services.channel_update(channel=channel, actor=actor(request), **form.cleaned_data)
            return web.done(request, reverse(LIST), f"{channel.name} was saved.")
    name = initial["name"]
    return web.form_page(request, "console/push/edit.html", {"form": form, "channel": channel, "name": name})


@acts("operator")
def channel_new_secret(request: HttpRequest, channel_id: str) -> HttpResponse:
    channel = get_object_or_404(PushChannel, pk=channel_id)
    secret = services.channel_new_secret(channel=channel, actor=actor(request))
    return _tell(request, channel, secret, "has a new secret")


@takes_form("operator")
def channel_test(request: HttpRequest, channel_id: str) -> HttpResponse:
    """Show a dialog that sends a test message when asked to, and shows the receiver's answer."""
    channel = get_object_or_404(PushChannel, pk=channel_id)
    answer = None
    if request.method == "POST":
        answer = services.channel_test(channel=channel, actor=actor(request))
    return render(request, "console/push/test.html", {"channel": channel, "answer": answer})


@acts("operator")
def channel_switch(request: HttpRequest, channel_id: str, enabled: bool) -> HttpResponse:
    channel = get_object_or_404(PushChannel, pk=channel_id)
    services.channel_switch(channel=channel, enabled=enabled, actor=actor(request))
    said = "is enabled." if enabled else "is disabled: nothing is sent through it."
    return web.done(request, reverse(LIST), f"{channel.name} {said}")


@shows("operator")
def channel_confirm(request: HttpRequest, channel_id: str, act: str) -> HttpResponse:
    """Ask before a channel is disabled or deleted, and say when nobody is told of alerts afterwards."""
    channel = get_object_or_404(PushChannel, pk=channel_id)
    return web.ask(
        request,
        act.capitalize(),
        channel.name,
        action=reverse(f"push:{act}", args=[channel.pk]),
        back=reverse(LIST),
        template=f"console/push/confirm_{act}.html",
        channel=channel,
        waiting=channel.deliveries.filter(state="waiting").count(),
        last=not PushChannel.objects.filter(enabled=True).exclude(pk=channel.pk).exists(),
    )


@acts("operator")
def channel_delete(request: HttpRequest, channel_id: str) -> HttpResponse:
    channel = get_object_or_404(PushChannel, pk=channel_id)
    services.channel_delete(channel=channel, actor=actor(request))
    return web.done(request, reverse(LIST), f"{channel.name} was deleted.")


@acts("operator")
def delivery_retry(request: HttpRequest, delivery_id: int) -> HttpResponse:
    delivery = get_object_or_404(PushDelivery.objects.select_related("channel"), pk=delivery_id)
    services.delivery_retry(delivery=delivery, actor=actor(request))
    return web.done(
        request, reverse("push:deliveries"), f"The message is sent to {delivery.channel} again now."
    )

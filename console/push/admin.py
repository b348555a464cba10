"""Message push in Django admin. Addresses and secrets are given on the pages, where they are sealed at once."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest

from console.core.access import actor
from console.core.admin_services import HistoryAdmin, ServiceAdmin
from console.push import services
from console.push.models import PushChannel, PushDelivery, PushMessage


@admin.register(PushChannel)
class PushChannelAdmin(ServiceAdmin):
    list_display = ("name", "id", "kind", "destination", "enabled", "delivered_at", "failed_at", "failure")
    list_filter = ("kind", "enabled")
    search_fields = ("id", "name", "destination")
    fields = ("name", "kind", "destination", "enabled", "delivered_at", "failed_at", "failure")
    readonly_fields = ("kind", "destination", "delivered_at", "failed_at", "failure")

    def update(self, request: HttpRequest, obj: Any, form: ModelForm) -> PushChannel:
        name, enabled = form.cleaned_data["name"], form.cleaned_data["enabled"]
        if obj.name != name:
            recipients = obj.destination if obj.kind == "email" else ""
            obj = services.channel_update(channel=obj, name=name, recipients=recipients, actor=actor(request))
        if obj.enabled != enabled:
            obj = services.channel_switch(channel=obj, enabled=enabled, actor=actor(request))
        return obj

    def remove(self, request: HttpRequest, obj: Any) -> None:
        services.channel_delete(channel=obj, actor=actor(request))


@admin.register(PushMessage)
class PushMessageAdmin(HistoryAdmin):
    list_display = ("created_at", "id", "kind", "title")
    list_filter = ("kind", "created_at")
    search_fields = ("id", "title", "text")


@admin.register(PushDelivery)
class PushDeliveryAdmin(HistoryAdmin):
    list_display = ("created_at", "message", "channel", "state", "attempts", "due_at", "ended_at", "answer")
    list_filter = ("state", "channel", "created_at")
    search_fields = ("message__id", "message__title", "channel__name")

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).select_related("message", "channel")

"""Alerts in Django admin; writes go through the services, and what the worker found is read-only."""

from typing import Any

from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest

from connectors.alerts import services
from connectors.alerts.models import Alert, AlertRule, AlertSettings, AlertSilence
from console.core.access import actor
from console.core.admin_services import HistoryAdmin, ServiceAdmin


@admin.register(Alert)
class AlertAdmin(HistoryAdmin):
    list_display = (
        "kind",
        "subject_name",
        "connector_name",
        "state",
        "since",
        "fired_at",
        "resolved_at",
        "end",
        "told",
        "acknowledged_by",
    )
    list_filter = ("state", "kind", "end", "fired_at")
    search_fields = ("id", "subject", "subject_name", "connector", "connector_name")


@admin.register(AlertRule)
class AlertRuleAdmin(ServiceAdmin):
    list_display = (
        "kind",
        "connector",
        "enabled",
        "threshold",
        "hold_seconds",
        "hysteresis_percent",
        "recovery",
    )
    list_filter = ("kind", "enabled")
    list_select_related = ("connector",)
    search_fields = ("kind", "connector__id", "connector__name")
    fields = ("connector", "kind", "enabled", "threshold", "hold_seconds", "hysteresis_percent", "recovery")
    readonly_fields = ("connector", "kind")

    def update(self, request: HttpRequest, obj: Any, form: ModelForm) -> AlertRule:
        values = form.cleaned_data
        return services.rule_update(connector=obj.connector, kind=obj.kind, actor=actor(request), **values)


@admin.register(AlertSilence)
class AlertSilenceAdmin(HistoryAdmin):
    list_display = ("target_name", "target", "kind", "until", "created_by", "reason")
    list_filter = ("kind", "until")
    search_fields = ("target", "target_name", "reason", "created_by")


@admin.register(AlertSettings)
class AlertSettingsAdmin(ServiceAdmin):
    list_display = ("remind_minutes", "group_from", "evaluated_at")
    search_fields = ("=id",)
    fields = ("remind_minutes", "group_from", "evaluated_at")
    readonly_fields = ("evaluated_at",)

    def update(self, request: HttpRequest, obj: Any, form: ModelForm) -> AlertSettings:
        return services.settings_update(actor=actor(request), **form.cleaned_data)

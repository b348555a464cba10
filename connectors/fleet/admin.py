"""Connectors, servers, upgrades and the license in Django admin; writes go through the services."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from connectors.fleet import services
from connectors.fleet.models.connectors import Connector, Server, Tunnel
from connectors.fleet.models.license import License
from connectors.fleet.models.upgrades import ServerUpgrade, Upgrade
from console.core.access import actor, has_role
from console.core.admin_services import HistoryAdmin, ServiceAdmin


@admin.register(Connector)
class ConnectorAdmin(ServiceAdmin):
    list_display = ("name", "id", "region", "enabled", "created_at")
    list_filter = ("enabled", "region__area", "region")
    list_select_related = ("region",)
    search_fields = ("id", "name")
    fields = ("name", "region", "enabled", "upgrade_start", "upgrade_end")
    fixed_fields = ("region",)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **options)
        if field is not None and db_field.name in ("upgrade_start", "upgrade_end"):
            field.help_text = "UTC, whatever your time zone."
        return field

    def create(self, request: HttpRequest, form: forms.ModelForm) -> Connector:
        data = dict(form.cleaned_data)
        window = {"start": data.pop("upgrade_start"), "end": data.pop("upgrade_end")}
        connector = services.connector_create(**data, actor=actor(request))
        return services.connector_upgrade_window(connector=connector, **window, actor=actor(request))

    def update(self, request: HttpRequest, obj: Connector, form: forms.ModelForm) -> Connector:
        data = form.cleaned_data
        obj = services.connector_rename(connector=obj, name=data["name"], actor=actor(request))
        window = {"start": data["upgrade_start"], "end": data["upgrade_end"]}
        obj = services.connector_upgrade_window(connector=obj, **window, actor=actor(request))
        if obj.enabled != data["enabled"]:
            obj = services.connector_switch(connector=obj, enabled=data["enabled"], actor=actor(request))
        return obj

    def remove(self, request: HttpRequest, obj: Connector) -> None:
        services.connector_delete(connector=obj, actor=actor(request))


@admin.register(Server)
class ServerAdmin(ServiceAdmin):
    """Servers, which come by enrollment alone: without ``create`` none is added here."""

    list_display = ("hostname", "id", "connector", "enabled", "endpoint_ip", "version", "heard_at")
    list_filter = ("enabled", "connector__region", "version")
    list_select_related = ("connector",)
    search_fields = ("id", "hostname", "endpoint_ip", "connector__name", "connector__id")
    fields = ("connector", "hostname", "enabled", "endpoint_ip", "private_ip", "version", "system")
    fixed_fields = ("connector", "hostname", "endpoint_ip", "private_ip", "version", "system")

    def update(self, request: HttpRequest, obj: Server, form: forms.ModelForm) -> Server:
        enabled = form.cleaned_data["enabled"]
        if obj.enabled != enabled:
            obj = services.server_switch(server=obj, enabled=enabled, actor=actor(request))
        return obj

    def remove(self, request: HttpRequest, obj: Server) -> None:
        services.server_remove(server=obj, actor=actor(request))


@admin.register(Tunnel)
class TunnelAdmin(HistoryAdmin):
    list_display = ("gateway", "server", "count", "seen_at")
    list_filter = ("gateway", "server__connector")
    list_select_related = ("gateway", "server")
    search_fields = ("gateway__name", "server__id", "server__hostname")


@admin.register(License)
class LicenseAdmin(ServiceAdmin):
    """Row of the license, for administrators alone."""

    list_display = ("__str__", "connectors", "valid_until")
    list_filter = ("valid_until",)
    search_fields = ("=connectors",)
    fields = ("connectors", "valid_until")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser or has_role(request.user, "administrator")

    def update(self, request: HttpRequest, obj: License, form: forms.ModelForm) -> License:
        return services.license_update(**form.cleaned_data, actor=actor(request))


@admin.register(Upgrade)
class UpgradeAdmin(HistoryAdmin):
    list_display = ("connector", "version", "state", "started_by", "created_at", "finished_at")
    list_filter = ("state",)
    list_select_related = ("connector",)
    search_fields = ("connector__name", "connector__id", "version", "started_by")


@admin.register(ServerUpgrade)
class ServerUpgradeAdmin(HistoryAdmin):
    list_display = ("server", "upgrade", "state", "message", "changed_at")
    list_filter = ("state",)
    list_select_related = ("server", "upgrade__connector")
    search_fields = ("server__id", "server__hostname", "upgrade__connector__name")

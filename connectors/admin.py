"""Django admin for private access; all writes go through the services."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from connectors import services
from connectors.account_fields import RulesField
from connectors.addresses import AddressInvalid, parse_addresses, parse_ports, shown_ports
from connectors.alerts import admin as alert_admin  # noqa: F401 (importing registers its models)
from connectors.models import (
    Application,
    ApplicationAddress,
    ApplicationPorts,
    Connector,
    FiveMinutes,
    GroupRule,
    Hour,
    Latest,
    License,
    Policy,
    Sample,
    Server,
    ServerUpgrade,
    StaleRollup,
    Tag,
    Tunnel,
    Upgrade,
    UserGroup,
)
from console.access import actor, has_role
from console.admin_services import HistoryAdmin, ServiceAdmin


def _switched(obj: Any, wanted: bool, name: str, request: HttpRequest) -> Any:
    """Switch by the service that belongs to the wish; nothing when it is so already."""
    if obj.enabled == wanted:
        return obj
    service = getattr(services, f"{name}_{'enable' if wanted else 'disable'}")
    return service(**{name: obj}, actor=actor(request))


@admin.register(Connector)
class ConnectorAdmin(ServiceAdmin):
    list_display = ("name", "id", "region", "enabled", "created_at")
    list_filter = ("enabled", "region__area", "region")
    list_select_related = ("region",)
    search_fields = ("id", "name")
    fields = ("name", "region", "enabled", "upgrade_start", "upgrade_end")
    fixed_fields = ("region",)

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
        return _switched(obj, data["enabled"], "connector", request)

    def remove(self, request: HttpRequest, obj: Connector) -> None:
        services.connector_delete(connector=obj, actor=actor(request))


@admin.register(Server)
class ServerAdmin(ServiceAdmin):
    """Servers come by enrollment, so none is added here."""

    list_display = ("hostname", "id", "connector", "enabled", "endpoint_ip", "version", "heard_at")
    list_filter = ("enabled", "connector__region", "version")
    list_select_related = ("connector",)
    search_fields = ("id", "hostname", "endpoint_ip", "connector__name", "connector__id")
    fields = ("connector", "hostname", "enabled", "endpoint_ip", "private_ip", "version", "system")
    fixed_fields = ("connector", "hostname", "endpoint_ip", "private_ip", "version", "system")

    def update(self, request: HttpRequest, obj: Server, form: forms.ModelForm) -> Server:
        return _switched(obj, form.cleaned_data["enabled"], "server", request)

    def remove(self, request: HttpRequest, obj: Server) -> None:
        services.server_remove(server=obj, actor=actor(request))


class ApplicationAdminForm(forms.ModelForm):
    """An application with its addresses, ports and tags as text."""

    addresses = forms.CharField(widget=forms.Textarea({"rows": 5}), help_text="One a line.")
    ports = forms.CharField(help_text="Such as 80, 443, 8000-8010.")
    tags = forms.CharField(required=False, help_text="Up to 6, separated by commas.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            addresses = self.instance.addresses.values_list("address", flat=True)
            self.fields["addresses"].initial = "\n".join(addresses)
            ports = list(self.instance.ports.values_list("begin", "end"))
            self.fields["ports"].initial = shown_ports(ports)
            self.initial["tags"] = ", ".join(self.instance.tags.values_list("name", flat=True))

    def clean_tags(self) -> list[str]:
        return self.cleaned_data["tags"].split(",")

    def clean_ports(self) -> list[tuple[int, int]]:
        try:
            return parse_ports(self.cleaned_data["ports"])
        except AddressInvalid as error:
            raise ValidationError(str(error)) from error

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if "addresses" in values:
            try:
                local = bool(values.get("origin"))
                values["addresses"] = parse_addresses(values["addresses"], allow_local=local)
            except AddressInvalid as error:
                self.add_error("addresses", str(error))
        return values


@admin.register(Application)
class ApplicationAdmin(ServiceAdmin):
    form = ApplicationAdminForm
    list_display = ("name", "id", "protocol", "origin", "enabled", "created_at")
    list_filter = ("enabled", "protocol")
    search_fields = ("id", "name", "addresses__address")
    fields = ("name", "description", "protocol", "addresses", "ports", "origin", "tags", "enabled")

    def create(self, request: HttpRequest, form: forms.ModelForm) -> Application:
        return services.application_create(**form.cleaned_data, actor=actor(request))

    def update(self, request: HttpRequest, obj: Application, form: forms.ModelForm) -> Application:
        data = dict(form.cleaned_data)
        enabled = data.pop("enabled")
        obj = services.application_update(application=obj, **data, actor=actor(request))
        return _switched(obj, enabled, "application", request)

    def remove(self, request: HttpRequest, obj: Application) -> None:
        services.application_delete(application=obj, actor=actor(request))


@admin.register(ApplicationAddress)
class ApplicationAddressAdmin(HistoryAdmin):
    list_display = ("address", "application")
    list_select_related = ("application",)
    list_filter = ("application__enabled",)
    search_fields = ("address", "application__name", "application__id")


@admin.register(ApplicationPorts)
class ApplicationPortsAdmin(HistoryAdmin):
    list_display = ("application", "begin", "end")
    list_select_related = ("application",)
    list_filter = ("application__protocol",)
    search_fields = ("application__name", "application__id", "=begin", "=end")


@admin.register(Tag)
class TagAdmin(HistoryAdmin):
    """Tags come and go with the applications that carry them."""

    list_display = ("name", "id", "created_at")
    list_filter = ("created_at",)
    search_fields = ("id", "name")


@admin.register(License)
class LicenseAdmin(ServiceAdmin):
    """The one row; only administrators enter here at all."""

    list_display = ("__str__", "connectors", "valid_until")
    list_filter = ("valid_until",)
    search_fields = ("=connectors",)
    fields = ("connectors", "valid_until")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser or has_role(request.user, "administrator")

    def update(self, request: HttpRequest, obj: License, form: forms.ModelForm) -> License:
        return services.license_update(**form.cleaned_data, actor=actor(request))


@admin.register(GroupRule)
class GroupRuleAdmin(HistoryAdmin):
    list_display = ("group", "attribute", "relation", "value")
    list_filter = ("attribute", "relation")
    list_select_related = ("group",)
    search_fields = ("group__name", "group__id", "value")


class UserGroupAdminForm(forms.ModelForm):
    """A group with its rules as text."""

    rules = RulesField(required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            self.initial["rules"] = list(self.instance.rules.all())


@admin.register(UserGroup)
class UserGroupAdmin(ServiceAdmin):
    form = UserGroupAdminForm
    list_display = ("name", "id", "description", "created_at")
    list_filter = ("created_at",)
    search_fields = ("id", "name")
    autocomplete_fields = ("accounts",)
    fields = ("name", "description", "accounts", "rules")

    def create(self, request: HttpRequest, form: forms.ModelForm) -> UserGroup:
        return services.group_create(**form.cleaned_data, actor=actor(request))

    def update(self, request: HttpRequest, obj: UserGroup, form: forms.ModelForm) -> UserGroup:
        return services.group_update(group=obj, **form.cleaned_data, actor=actor(request))

    def remove(self, request: HttpRequest, obj: UserGroup) -> None:
        services.group_delete(group=obj, actor=actor(request))


@admin.register(Policy)
class PolicyAdmin(ServiceAdmin):
    list_display = (
        "priority",
        "name",
        "id",
        "connector",
        "all_users",
        "all_applications",
        "enabled",
        "created_at",
    )
    list_display_links = ("name",)
    list_filter = ("enabled", "all_users", "all_applications", "connector")
    list_select_related = ("connector",)
    search_fields = ("id", "name", "description")
    autocomplete_fields = ("groups", "accounts", "applications", "tags", "connector")
    fields = (
        "name",
        "description",
        "priority",
        "all_users",
        "groups",
        "accounts",
        "all_applications",
        "applications",
        "tags",
        "connector",
        "enabled",
    )

    def create(self, request: HttpRequest, form: forms.ModelForm) -> Policy:
        return services.policy_create(**form.cleaned_data, actor=actor(request))

    def update(self, request: HttpRequest, obj: Policy, form: forms.ModelForm) -> Policy:
        data = dict(form.cleaned_data)
        enabled = data.pop("enabled")
        obj = services.policy_update(policy=obj, **data, actor=actor(request))
        return _switched(obj, enabled, "policy", request)

    def remove(self, request: HttpRequest, obj: Policy) -> None:
        services.policy_delete(policy=obj, actor=actor(request))


@admin.register(Tunnel)
class TunnelAdmin(HistoryAdmin):
    list_display = ("gateway", "server", "count", "seen_at")
    list_filter = ("gateway", "server__connector")
    list_select_related = ("gateway", "server")
    search_fields = ("gateway__name", "server__id", "server__hostname")


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


@admin.register(Sample)
class SampleAdmin(HistoryAdmin):
    list_display = ("server", "time", "seconds", "rx_bytes", "tx_bytes", "cpu_percent", "memory_percent")
    list_filter = ("server__connector", "time")
    list_select_related = ("server",)
    search_fields = ("server__id", "server__hostname")
    show_full_result_count = False


@admin.register(FiveMinutes, Hour)
class RollupAdmin(HistoryAdmin):
    list_display = ("server", "start", "samples", "seconds", "rx_bytes", "tx_bytes", "rx_peak", "tx_peak")
    list_filter = ("server__connector",)
    list_select_related = ("server",)
    search_fields = ("server__id", "server__hostname")
    show_full_result_count = False


@admin.register(Latest)
class LatestAdmin(HistoryAdmin):
    list_display = ("server", "time", "rx_bytes", "tx_bytes", "cpu_percent", "latency_ms", "loss_percent")
    list_filter = ("server__connector",)
    list_select_related = ("server",)
    search_fields = ("server__id", "server__hostname")


@admin.register(StaleRollup)
class StaleRollupAdmin(HistoryAdmin):
    list_display = ("server", "width", "start", "version")
    list_filter = ("width",)
    search_fields = ("server",)
    show_full_result_count = False

"""Applications in Django admin; writes go through the services, and gateways learn of them."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from connectors.applications import services
from connectors.applications.addresses import AddressInvalid, parse_addresses, parse_ports, shown_ports
from connectors.applications.models import Application, ApplicationAddress, ApplicationPorts, Tag
from console.core.access import actor
from console.core.admin_services import HistoryAdmin, ServiceAdmin


def _addresses(application: Application) -> str:
    return "\n".join(application.addresses.values_list("address", flat=True))


def _ports(application: Application) -> str:
    return shown_ports(list(application.ports.values_list("begin", "end")))


class ApplicationAdminForm(forms.ModelForm):
    """Application with its addresses, ports and tags as text."""

    addresses = forms.CharField(widget=forms.Textarea({"rows": 5}), help_text="One a line.")
    ports = forms.CharField(help_text="Such as 80, 443, 8000-8010.")
    tags = forms.CharField(required=False, help_text="Up to 6, separated by commas.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            self.fields["addresses"].initial = _addresses(self.instance)
            self.fields["ports"].initial = _ports(self.instance)
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

    def addresses(self, application: Application) -> str:
        """Return the addresses for those who see the page and may not change the application."""
        return _addresses(application)

    def ports(self, application: Application) -> str:
        """Return the ports for those who see the page and may not change the application."""
        return _ports(application)

    def create(self, request: HttpRequest, form: forms.ModelForm) -> Application:
        return services.application_create(**form.cleaned_data, actor=actor(request))

    def update(self, request: HttpRequest, obj: Application, form: forms.ModelForm) -> Application:
        data = dict(form.cleaned_data)
        enabled = data.pop("enabled")
        obj = services.application_update(application=obj, **data, actor=actor(request))
        if obj.enabled != enabled:
            obj = services.application_switch(application=obj, enabled=enabled, actor=actor(request))
        return obj

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
    """Tags, read-only: services make and forget them with the applications that carry them."""

    list_display = ("name", "id", "created_at")
    list_filter = ("created_at",)
    search_fields = ("id", "name")

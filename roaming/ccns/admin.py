"""Django admin of CCNs and cloud networks; the services do all writes."""

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from console.core.access import actor
from console.core.admin_services import ServiceAdmin
from roaming.ccns import services
from roaming.ccns.models import CCN, CloudNetwork


@admin.register(CCN)
class CCNAdmin(ServiceAdmin):
    list_display = ("name", "id", "area", "created_at")
    list_filter = ("area",)
    list_select_related = ("area",)
    search_fields = ("id", "name")
    fields = ("name", "area", "description")
    fixed_fields = ("area",)

    def create(self, request: HttpRequest, form: forms.ModelForm) -> CCN:
        return services.ccn_create(**form.cleaned_data, actor=actor(request))

    def update(self, request: HttpRequest, obj: CCN, form: forms.ModelForm) -> CCN:
        return services.ccn_update(ccn=obj, **form.cleaned_data, actor=actor(request))

    def remove(self, request: HttpRequest, obj: CCN) -> None:
        services.ccn_delete(ccn=obj, actor=actor(request))


@admin.register(CloudNetwork)
class CloudNetworkAdmin(ServiceAdmin):
    list_display = ("cidr", "ccn", "created_at")
    list_filter = ("ccn__area",)
    list_select_related = ("ccn",)
    search_fields = ("cidr", "ccn__name", "ccn__id")
    autocomplete_fields = ("ccn",)
    fields = ("ccn", "cidr")

    def create(self, request: HttpRequest, form: forms.ModelForm) -> CloudNetwork:
        return services.cloud_network_add(**form.cleaned_data, actor=actor(request))

    def remove(self, request: HttpRequest, obj: CloudNetwork) -> None:
        services.cloud_network_remove(network=obj, actor=actor(request))

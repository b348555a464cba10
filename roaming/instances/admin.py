"""Django admin of instances; the services do all writes, and private blocks are changed through their instance."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from console.core.access import actor
from console.core.admin_services import HistoryAdmin, ServiceAdmin
from roaming.instances import deletion, services
from roaming.instances.models import Instance, InstanceCidr


class BlocksForm(forms.ModelForm):
    """Form of an instance that adds the private blocks as text, one a line."""

    cidrs = forms.CharField(
        label="CIDR blocks",
        required=False,
        widget=forms.Textarea(attrs={"rows": 5}),
        help_text="One block a line.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk and not self.instance._state.adding:
            self.fields["cidrs"].initial = "\n".join(str(block) for block in self.instance.blocks())
        if "status" in self.fields:
            # Deletion is an action of its own, so no status of this form starts one.
            switchable = [
                choice for choice in Instance.Status.choices if choice[0] != Instance.Status.DELETING
            ]
            self.fields["status"].choices = switchable  # type: ignore[attr-defined]

    def clean_cidrs(self) -> list[str]:
        return [line.strip() for line in self.cleaned_data["cidrs"].splitlines() if line.strip()]


@admin.register(Instance)
class InstanceAdmin(ServiceAdmin):
    form = BlocksForm
    list_display = ("name", "id", "region", "status", "ccn", "account_quota", "created_at")
    list_filter = ("region__area", "region", "status")
    list_select_related = ("region", "ccn")
    search_fields = ("id", "name")
    autocomplete_fields = ("ccn",)
    fields = ("name", "description", "region", "status", "account_quota", "ccn", "cidrs", "dns1", "dns2")
    fixed_fields = ("region",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        readonly = super().get_readonly_fields(request, obj)
        return readonly if obj is not None else (*readonly, "status")

    @admin.display(description="CIDR blocks")
    def cidrs(self, instance: Instance) -> str:
        """Return the blocks for those who see the page and may not change the instance."""
        return "\n".join(str(block) for block in instance.blocks())

    def create(self, request: HttpRequest, form: forms.ModelForm) -> Instance:
        return services.instance_create(**form.cleaned_data, actor=actor(request))

    def update(self, request: HttpRequest, obj: Instance, form: forms.ModelForm) -> Instance:
        data, who = form.cleaned_data, actor(request)
        network = {name: data[name] for name in ("cidrs", "ccn", "dns1", "dns2")}
        obj = services.instance_network_update(instance=obj, **network, actor=who)
        described = {name: data[name] for name in ("name", "description", "account_quota")}
        obj = services.instance_update(instance=obj, **described, actor=who)
        if data["status"] != obj.status:
            switch = services.instance_start if data["status"] == "active" else services.instance_stop
            obj = switch(instance=obj, actor=who)
        return obj

    def remove(self, request: HttpRequest, obj: Instance) -> None:
        deletion.instance_delete(instance=obj, actor=actor(request))


@admin.register(InstanceCidr)
class InstanceCidrAdmin(HistoryAdmin):
    list_display = ("cidr", "instance", "position")
    list_filter = ("instance__region__area",)
    list_select_related = ("instance",)
    search_fields = ("cidr", "instance__id", "instance__name")

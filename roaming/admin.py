"""Django admin for this app; all writes go through the services."""

from contextlib import suppress
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from console.access import actor
from console.admin_services import HistoryAdmin, ServiceAdmin
from console.errors import Conflict, Invalid
from roaming import mail, selectors
from roaming.models import (
    CCN,
    AccountImport,
    ClientAccount,
    CloudNetwork,
    Flow,
    Instance,
    InstanceCidr,
    LogonFailures,
    Usage,
    UserSession,
)
from roaming.services import accounts, ccns, deletion, instances, sessions


@admin.register(CCN)
class CCNAdmin(ServiceAdmin):
    list_display = ("name", "id", "area", "created_at")
    list_filter = ("area",)
    list_select_related = ("area",)
    search_fields = ("id", "name")
    fields = ("name", "area", "description")
    fixed_fields = ("area",)

    def create(self, request: HttpRequest, form: forms.ModelForm) -> CCN:
        return ccns.ccn_create(**form.cleaned_data, actor=actor(request))

    def update(self, request: HttpRequest, obj: CCN, form: forms.ModelForm) -> CCN:
        return ccns.ccn_update(ccn=obj, **form.cleaned_data, actor=actor(request))

    def remove(self, request: HttpRequest, obj: CCN) -> None:
        ccns.ccn_delete(ccn=obj, actor=actor(request))


@admin.register(CloudNetwork)
class CloudNetworkAdmin(ServiceAdmin):
    list_display = ("cidr", "ccn", "created_at")
    list_filter = ("ccn__area",)
    list_select_related = ("ccn",)
    search_fields = ("cidr", "ccn__name", "ccn__id")
    autocomplete_fields = ("ccn",)
    fields = ("ccn", "cidr")

    def create(self, request: HttpRequest, form: forms.ModelForm) -> CloudNetwork:
        return ccns.cloud_network_add(**form.cleaned_data, actor=actor(request))

    def remove(self, request: HttpRequest, obj: CloudNetwork) -> None:
        ccns.cloud_network_remove(network=obj, actor=actor(request))


class BlocksForm(forms.ModelForm):
    """An instance with its private blocks as text, one a line."""

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
            # Deleting is an action of its own.
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

    def create(self, request: HttpRequest, form: forms.ModelForm) -> Instance:
        return instances.instance_create(**form.cleaned_data, actor=actor(request))

    def update(self, request: HttpRequest, obj: Instance, form: forms.ModelForm) -> Instance:
        data, who = form.cleaned_data, actor(request)
        network = {name: data[name] for name in ("cidrs", "ccn", "dns1", "dns2")}
        obj = instances.instance_network_update(instance=obj, **network, actor=who)
        described = {name: data[name] for name in ("name", "description", "account_quota")}
        obj = instances.instance_update(instance=obj, **described, actor=who)
        if data["status"] != obj.status:
            switch = instances.instance_start if data["status"] == "active" else instances.instance_stop
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


class AccountForm(forms.ModelForm):
    """``new_password`` is only read, never shown again; it reaches all copies of the account."""

    new_password = forms.CharField(
        label="Password",
        required=False,
        max_length=32,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="8–32 characters. Blank on an existing account: unchanged.",
    )


@admin.register(ClientAccount)
class ClientAccountAdmin(ServiceAdmin):
    form = AccountForm
    list_display = (
        "username",
        "email",
        "instance",
        "enabled",
        "static_ip",
        "bandwidth_kbps",
        "last_logon_at",
    )
    list_filter = ("enabled", "instance__region__area")
    list_select_related = ("instance",)
    # By prefix: an index serves it on both databases.
    search_fields = ("username_key__startswith", "email_key__startswith", "id__startswith")
    search_help_text = "Beginning of the user name, e-mail or ID, in lower case."
    autocomplete_fields = ("instance",)
    show_full_result_count = False
    fields = ("instance", "username", "email", "new_password", "bandwidth_kbps", "static_ip", "enabled")
    fixed_fields = ("instance", "username", "static_ip", "source", "last_logon_at")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields if obj is None else (*(self.fields or ()), "source", "last_logon_at")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        readonly = super().get_readonly_fields(request, obj)
        return readonly if obj is not None else (*readonly, "enabled")

    def create(self, request: HttpRequest, form: forms.ModelForm) -> ClientAccount:
        data = dict(form.cleaned_data)
        password = data.pop("new_password")
        if not password:
            # A generated one would have to be shown, and admin has no page for that which is not kept.
            raise Invalid("Give the account a password.", field="new_password")
        account, _ = accounts.account_create(**data, password=password, actor=actor(request))
        mail.credentials([account], password)
        return account

    def update(self, request: HttpRequest, obj: ClientAccount, form: forms.ModelForm) -> ClientAccount:
        data, who = form.cleaned_data, actor(request)
        wishes = {name: data[name] for name in ("email", "bandwidth_kbps")}
        obj = accounts.account_update(account=obj, **wishes, actor=who)
        if data["new_password"]:
            accounts.account_reset_password(account=obj, password=data["new_password"], actor=who)
            mail.credentials([obj, *selectors.copies_of(obj)], data["new_password"], reset=True)
        if data["enabled"] != obj.enabled:
            switch = accounts.account_enable if data["enabled"] else accounts.account_disable
            obj = switch(account=obj, actor=who)
        return obj

    def remove(self, request: HttpRequest, obj: ClientAccount) -> None:
        accounts.account_delete(account=obj, actor=actor(request))


@admin.register(UserSession)
class UserSessionAdmin(HistoryAdmin):
    list_display = (
        "username",
        "instance",
        "client_ip",
        "public_address",
        "gateway",
        "kind",
        "created_at",
        "ended_at",
        "end_reason",
    )
    list_filter = (("ended_at", admin.EmptyFieldListFilter), "end_reason", "kind", "instance__region__area")
    list_select_related = ("instance", "gateway")
    search_fields = ("id", "username", "public_address")
    show_full_result_count = False
    actions = ("kick",)

    @admin.action(description="Kick selected live sessions")
    def kick(self, request: HttpRequest, queryset: QuerySet[UserSession]) -> None:
        ended = 0
        for session in queryset.filter(ended_at=None):
            with suppress(Conflict):  # it ended by itself meanwhile
                sessions.session_end(session=session, actor=actor(request))
                ended += 1
        self.message_user(request, f"Sessions ended: {ended}.")

    def get_actions(self, request: HttpRequest) -> Any:
        from console.access import has_role

        return super().get_actions(request) if has_role(request.user, "operator") else {}


@admin.register(LogonFailures)
class LogonFailuresAdmin(HistoryAdmin):
    list_display = ("key", "count", "first_at", "locked_until")
    list_filter = (("locked_until", admin.EmptyFieldListFilter),)
    search_fields = ("key",)


@admin.register(Flow)
class FlowAdmin(HistoryAdmin):
    list_display = (
        "started_at",
        "account",
        "host",
        "port",
        "path",
        "connector",
        "gateway",
        "bytes_up",
        "bytes_down",
        "end",
    )
    list_filter = ("path", "end", "gateway")
    list_select_related = ("gateway",)
    search_fields = ("=session", "=account", "=application", "=connector", "host")
    show_full_result_count = False


@admin.register(Usage)
class UsageAdmin(HistoryAdmin):
    list_display = ("time", "span", "subject", "bytes_up", "bytes_down")
    list_filter = ("span",)
    search_fields = ("=subject",)
    show_full_result_count = False


@admin.register(AccountImport)
class AccountImportAdmin(HistoryAdmin):
    list_display = ("id", "instance", "owner", "created_at")
    list_select_related = ("instance", "owner")
    search_fields = ("id", "=instance__id", "owner__username")

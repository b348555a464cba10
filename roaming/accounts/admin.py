"""Django admin of client accounts; the services do all writes, and new passwords are mailed to their owners."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from console.core.access import actor
from console.core.admin_services import ServiceAdmin
from console.core.errors import Invalid
from roaming.accounts import mail, selectors, services
from roaming.accounts.models import ClientAccount


class AccountForm(forms.ModelForm):
    """Form of an account that adds ``new_password``: never shown again, and set on all copies of the account."""

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
    # Prefixes alone are searched for, because an index serves them on both databases.
    search_fields = ("username_key__startswith", "email_key__startswith", "id__startswith")
    search_help_text = "Beginning of the user name, e-mail or ID, in lower case."
    autocomplete_fields = ("instance",)
    show_full_result_count = False
    fields = ("instance", "username", "email", "new_password", "bandwidth_kbps", "static_ip", "enabled")
    fixed_fields = ("instance", "username", "static_ip", "source", "last_logon_at")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = tuple(self.fields or ())
        if obj is None:
            return fields
        if not self.has_change_permission(request, obj):
            fields = tuple(name for name in fields if name != "new_password")
        return (*fields, "source", "last_logon_at")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        readonly = super().get_readonly_fields(request, obj)
        return readonly if obj is not None else (*readonly, "enabled")

    def create(self, request: HttpRequest, form: forms.ModelForm) -> ClientAccount:
        data = dict(form.cleaned_data)
        password = data.pop("new_password")
        if not password:
            # Generated passwords must be shown once, and admin has no page for what is not kept.
            raise Invalid("Give the account a password.", field="new_password")
        account, _ = services.account_create(**data, password=password, actor=actor(request))
        mail.credentials([account], password)
        return account

    def update(self, request: HttpRequest, obj: ClientAccount, form: forms.ModelForm) -> ClientAccount:
        data, who = form.cleaned_data, actor(request)
        wishes = {name: data[name] for name in ("email", "bandwidth_kbps")}
        obj = services.account_update(account=obj, **wishes, actor=who)
        if data["new_password"]:
            services.account_reset_password(account=obj, password=data["new_password"], actor=who)
            mail.credentials([obj, *selectors.copies_of(obj)], data["new_password"], reset=True)
        if data["enabled"] != obj.enabled:
            switch = services.account_enable if data["enabled"] else services.account_disable
            obj = switch(account=obj, actor=who)
        return obj

    def remove(self, request: HttpRequest, obj: ClientAccount) -> None:
        services.account_delete(account=obj, actor=actor(request))

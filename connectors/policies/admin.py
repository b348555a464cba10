"""Forwarding policies and user groups in Django admin; writes go through the services, and gateways learn of them."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from connectors.policies import services
from connectors.policies.account_fields import RulesField
from connectors.policies.models.groups import GroupRule, UserGroup
from connectors.policies.models.policies import Policy
from console.core.access import actor
from console.core.admin_services import HistoryAdmin, ServiceAdmin


@admin.register(GroupRule)
class GroupRuleAdmin(HistoryAdmin):
    list_display = ("group", "attribute", "relation", "value")
    list_filter = ("attribute", "relation")
    list_select_related = ("group",)
    search_fields = ("group__name", "group__id", "value")


class UserGroupAdminForm(forms.ModelForm):
    """User group with its rules as text."""

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

    def rules(self, group: UserGroup) -> str:
        """Return the rules for those who see the page and may not change the group."""
        return "\n".join(str(rule) for rule in group.rules.all())

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
        if obj.enabled != enabled:
            obj = services.policy_switch(policy=obj, enabled=enabled, actor=actor(request))
        return obj

    def remove(self, request: HttpRequest, obj: Policy) -> None:
        services.policy_delete(policy=obj, actor=actor(request))

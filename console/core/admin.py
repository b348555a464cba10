"""Django admin of people, areas, the audit and the configuration's version."""

from typing import Any

import django.contrib.auth.admin  # noqa: F401 (registers Group)
from axes.models import AccessAttempt, AccessLog
from django import forms
from django.contrib import admin
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.models import Group
from django.http import HttpRequest
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters

from console.core import people
from console.core.access import actor
from console.core.admin_services import HistoryAdmin, ServiceAdmin
from console.core.models.access import (
    AccessKey,
    LogIn,
    OpenIdentity,
    PasswordLink,
    SecondFactor,
    User,
)
from console.core.models.audit import AuditCheckpoint, AuditRow, FailedLogIns
from console.core.models.geography import Area, Region
from console.core.models.submissions import Submission
from console.core.models.version import ConfigVersion

# Groups of Django's own, which its module registered: roles say who may do what, and a group adds nothing to them.
admin.site.unregister(Group)


class AdminLogInForm(AdminAuthenticationForm):
    """Log-in of Django admin, for users without a second factor; the others come by the console's log-in."""

    def confirm_login_allowed(self, user: Any) -> None:
        super().confirm_login_allowed(user)
        if SecondFactor.objects.filter(user=user).exists():
            raise forms.ValidationError(
                f"You log in with a second factor. Begin at {reverse('login')} instead."
            )


admin.site.login_form = AdminLogInForm


class UserForm(forms.ModelForm):
    """User with a new password, which is never shown: needed for a new user, else left empty to keep the old one."""

    password = forms.CharField(
        label="New password",
        required=False,
        strip=False,
        max_length=200,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="At least 10 characters. Left empty, the user's password stays as it is.",
    )

    class Meta:
        model = User
        fields = ("username", *people.USER_FIELDS)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "password" in self.fields:
            self.initial["password"] = ""
            self.fields["password"].required = self.instance._state.adding


@admin.register(User)
class ConsoleUserAdmin(ServiceAdmin):
    """Users by the services. Nobody below an administrator sees them here."""

    form = UserForm
    list_display = ("username", "email", "role", "is_active", "is_staff", "last_login")
    list_filter = ("role", "is_active", "is_staff")
    search_fields = ("username", "first_name", "last_name", "email")
    ordering = ("username",)
    fields = ("username", *people.USER_FIELDS, "password", "last_login", "date_joined")
    readonly_fields = ("last_login", "date_joined")
    fixed_fields = ("username",)
    writers = readers = "administrator"

    @method_decorator(sensitive_post_parameters("password"))
    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return super().changeform_view(request, *args, **kwargs)

    def create(self, request: HttpRequest, form: forms.ModelForm) -> User:
        return people.user_create(actor=actor(request), **form.cleaned_data)

    def update(self, request: HttpRequest, obj: Any, form: forms.ModelForm) -> User:
        wishes = dict(form.cleaned_data)
        password = wishes.pop("password")
        if password:
            people.user_password_set(user=obj, password=password, actor=actor(request))
            if obj.pk == request.user.pk:
                update_session_auth_hash(request, obj)
        return people.user_update(user=obj, actor=actor(request), **wishes)

    def remove(self, request: HttpRequest, obj: Any) -> None:
        people.user_delete(user=obj, actor=actor(request))


@admin.register(Area)
class AreaAdmin(HistoryAdmin):
    list_display = ("name", "id", "position")
    search_fields = ("name", "id")


@admin.register(Region)
class RegionAdmin(HistoryAdmin):
    list_display = ("id", "name", "area")
    list_filter = ("area",)
    search_fields = ("id", "name")
    list_select_related = ("area",)


@admin.register(AuditRow)
class AuditRowAdmin(HistoryAdmin):
    list_display = ("at", "actor", "verb", "target_kind", "target", "target_name", "source")
    list_filter = ("verb", "target_kind")
    search_fields = ("actor", "target", "target_name")
    date_hierarchy = "at"


@admin.register(AuditCheckpoint)
class AuditCheckpointAdmin(HistoryAdmin):
    list_display = ("kind", "row", "digest", "made_at")
    list_filter = ("kind",)
    search_fields = ("digest",)
    exclude = ("signature",)


@admin.register(FailedLogIns)
class FailedLogInsAdmin(HistoryAdmin):
    list_display = ("minute", "kind", "address", "failures", "lock_outs")
    list_filter = ("kind",)
    search_fields = ("address",)
    readers = "administrator"


@admin.register(AccessAttempt)
class AccessAttemptAdmin(HistoryAdmin):
    list_display = ("attempt_time", "username", "ip_address", "failures_since_start")
    search_fields = ("username", "ip_address")
    exclude = ("get_data", "post_data")
    readers = "administrator"


@admin.register(AccessLog)
class AccessLogAdmin(HistoryAdmin):
    list_display = ("attempt_time", "logout_time", "username", "ip_address")
    search_fields = ("username", "ip_address")
    exclude = ("session_hash",)
    readers = "administrator"


@admin.register(LogIn)
class LogInAdmin(HistoryAdmin):
    list_display = ("user", "address", "agent", "began_at", "expire_date")
    search_fields = ("user__username", "address")
    list_select_related = ("user",)
    exclude = ("session_key", "session_data")
    readers = "administrator"


@admin.register(PasswordLink)
class PasswordLinkAdmin(HistoryAdmin):
    list_display = ("user", "made_at", "expires_at")
    search_fields = ("user__username",)
    list_select_related = ("user",)
    exclude = ("digest",)
    readers = "administrator"


@admin.register(OpenIdentity)
class OpenIdentityAdmin(HistoryAdmin):
    list_display = ("user", "issuer", "subject", "made_at")
    search_fields = ("user__username", "subject")
    list_select_related = ("user",)
    readers = "administrator"


@admin.register(SecondFactor)
class SecondFactorAdmin(HistoryAdmin):
    list_display = ("user", "made_at", "failures", "failed_at")
    search_fields = ("user__username",)
    list_select_related = ("user",)
    exclude = ("secret", "recovery", "last_step")
    readers = "administrator"


@admin.register(AccessKey)
class AccessKeyAdmin(HistoryAdmin):
    list_display = ("id", "user", "enabled", "created_at", "last_used_at")
    list_filter = ("enabled",)
    search_fields = ("id", "user__username")
    list_select_related = ("user",)
    exclude = ("secret_encrypted",)
    readers = "administrator"


@admin.register(ConfigVersion)
class ConfigVersionAdmin(HistoryAdmin):
    list_display = ("epoch", "version", "servers_version")
    list_filter = ()


@admin.register(Submission)
class SubmissionAdmin(HistoryAdmin):
    list_display = ("begun_at", "user", "path", "written", "ended_at")
    list_filter = ("written",)
    search_fields = ("user__username", "path")
    list_select_related = ("user",)
    exclude = ("key", "answer")
    readers = "administrator"

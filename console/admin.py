"""Django admin for the console's own floor: the second way in for operators."""

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.db.models import Model
from django.http import HttpRequest

from console import models


class ReadOnlyAdmin(admin.ModelAdmin):
    """For what is written by machines or is history."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(models.User)
class ConsoleUserAdmin(UserAdmin):
    list_display = ("username", "email", "role", "is_active", "is_staff", "last_login")
    list_filter = ("role", "is_active", "is_staff")
    fieldsets = (*(UserAdmin.fieldsets or ()), ("Causeway", {"fields": ("role",)}))
    add_fieldsets = (*UserAdmin.add_fieldsets, ("Causeway", {"fields": ("role",)}))


@admin.register(models.Area)
class AreaAdmin(ReadOnlyAdmin):
    list_display = ("name", "id", "position")
    search_fields = ("name", "id")


@admin.register(models.Region)
class RegionAdmin(ReadOnlyAdmin):
    list_display = ("id", "name", "area")
    list_filter = ("area",)
    search_fields = ("id", "name")
    list_select_related = ("area",)


@admin.register(models.AuditRow)
class AuditRowAdmin(ReadOnlyAdmin):
    list_display = ("at", "actor", "verb", "target_kind", "target", "target_name", "source")
    list_filter = ("verb", "target_kind")
    search_fields = ("actor", "target", "target_name")
    date_hierarchy = "at"


@admin.register(models.AccessKey)
class AccessKeyAdmin(ReadOnlyAdmin):
    list_display = ("id", "user", "enabled", "created_at")
    list_filter = ("enabled",)
    search_fields = ("id", "user__username")
    list_select_related = ("user",)
    exclude = ("secret_encrypted",)


@admin.register(models.Authority)
class AuthorityAdmin(ReadOnlyAdmin):
    list_display = ("key_id", "kind", "active", "created_at")
    list_filter = ("kind", "active")
    search_fields = ("key_id",)
    exclude = ("private_key",)


@admin.register(models.MachineKey)
class MachineKeyAdmin(ReadOnlyAdmin):
    list_display = ("machine", "kind", "created_at")
    list_filter = ("kind",)
    search_fields = ("machine",)


@admin.register(models.EnrollmentCode)
class EnrollmentCodeAdmin(ReadOnlyAdmin):
    list_display = ("kind", "target", "created_by", "created_at", "expires_at", "used_at", "used_by")
    list_filter = ("kind",)
    search_fields = ("target", "used_by", "created_by")
    exclude = ("digest",)


class ConfirmationInline(admin.TabularInline):
    model = models.CutoverConfirmation
    extra = 0


@admin.register(models.Cutover)
class CutoverAdmin(ReadOnlyAdmin):
    list_display = ("requested_at", "reason", "target", "version")
    search_fields = ("reason", "target")
    date_hierarchy = "requested_at"
    inlines = (ConfirmationInline,)


@admin.register(models.CutoverConfirmation)
class CutoverConfirmationAdmin(ReadOnlyAdmin):
    list_display = ("cutover", "gateway", "confirmed_at", "flows_cut")
    list_filter = ("gateway",)
    search_fields = ("cutover__reason", "cutover__target")
    list_select_related = ("cutover", "gateway")


@admin.register(models.ConfigVersion)
class ConfigVersionAdmin(ReadOnlyAdmin):
    list_display = ("version", "servers_version")
    list_filter = ()


@admin.register(models.ReceivedBatch)
class ReceivedBatchAdmin(ReadOnlyAdmin):
    list_display = ("machine", "batch", "received_at")
    search_fields = ("machine",)
    date_hierarchy = "received_at"

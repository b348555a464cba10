"""Django admin of people, areas, the audit and the configuration's version."""

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin

from console.core.admin_services import HistoryAdmin, ListedLookups
from console.core.models.access import AccessKey, User
from console.core.models.audit import AuditRow
from console.core.models.geography import Area, Region
from console.core.models.version import ConfigVersion


@admin.register(User)
class ConsoleUserAdmin(ListedLookups, UserAdmin):
    list_display = ("username", "email", "role", "is_active", "is_staff", "last_login")
    list_filter = ("role", "is_active", "is_staff")
    fieldsets = (*(UserAdmin.fieldsets or ()), ("Causeway", {"fields": ("role",)}))
    add_fieldsets = (*UserAdmin.add_fieldsets, ("Causeway", {"fields": ("role",)}))


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


@admin.register(AccessKey)
class AccessKeyAdmin(HistoryAdmin):
    list_display = ("id", "user", "enabled", "created_at")
    list_filter = ("enabled",)
    search_fields = ("id", "user__username")
    list_select_related = ("user",)
    exclude = ("secret_encrypted",)


@admin.register(ConfigVersion)
class ConfigVersionAdmin(HistoryAdmin):
    list_display = ("epoch", "version", "servers_version")
    list_filter = ()

"""Django admin for the console's own floor: the second way in for operators."""

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest

from console import models, services
from console.access import actor
from console.admin_services import HistoryAdmin, ListedLookups, ServiceAdmin
from console.push import admin as push_admin  # noqa: F401 (importing registers its models)


@admin.register(models.User)
class ConsoleUserAdmin(ListedLookups, UserAdmin):
    list_display = ("username", "email", "role", "is_active", "is_staff", "last_login")
    list_filter = ("role", "is_active", "is_staff")
    fieldsets = (*(UserAdmin.fieldsets or ()), ("Causeway", {"fields": ("role",)}))
    add_fieldsets = (*UserAdmin.add_fieldsets, ("Causeway", {"fields": ("role",)}))


@admin.register(models.Area)
class AreaAdmin(HistoryAdmin):
    list_display = ("name", "id", "position")
    search_fields = ("name", "id")


@admin.register(models.Region)
class RegionAdmin(HistoryAdmin):
    list_display = ("id", "name", "area")
    list_filter = ("area",)
    search_fields = ("id", "name")
    list_select_related = ("area",)


@admin.register(models.Gateway)
class GatewayAdmin(ServiceAdmin):
    list_display = (
        "name",
        "id",
        "region",
        "public_host",
        "client_port",
        "tunnel_port",
        "heard_at",
        "applied_version",
    )
    list_filter = ("region__area",)
    search_fields = ("name", "id", "public_host")
    list_select_related = ("region",)
    fields = services.GATEWAY_FIELDS
    writers = "administrator"

    def create(self, request: HttpRequest, form: ModelForm) -> models.Gateway:
        return services.gateway_create(actor=actor(request), **form.cleaned_data)

    def update(self, request: HttpRequest, obj: models.Gateway, form: ModelForm) -> models.Gateway:
        return services.gateway_update(gateway=obj, actor=actor(request), **form.cleaned_data)

    def remove(self, request: HttpRequest, obj: models.Gateway) -> None:
        services.gateway_delete(gateway=obj, actor=actor(request))


@admin.register(models.AuditRow)
class AuditRowAdmin(HistoryAdmin):
    list_display = ("at", "actor", "verb", "target_kind", "target", "target_name", "source")
    list_filter = ("verb", "target_kind")
    search_fields = ("actor", "target", "target_name")
    date_hierarchy = "at"


@admin.register(models.AccessKey)
class AccessKeyAdmin(HistoryAdmin):
    list_display = ("id", "user", "enabled", "created_at")
    list_filter = ("enabled",)
    search_fields = ("id", "user__username")
    list_select_related = ("user",)
    exclude = ("secret_encrypted",)


@admin.register(models.Authority)
class AuthorityAdmin(HistoryAdmin):
    list_display = ("key_id", "kind", "active", "created_at")
    list_filter = ("kind", "active")
    search_fields = ("key_id",)
    exclude = ("private_key",)


@admin.register(models.MachineKey)
class MachineKeyAdmin(HistoryAdmin):
    list_display = ("machine", "kind", "created_at")
    list_filter = ("kind",)
    search_fields = ("machine",)


@admin.register(models.EnrollmentCode)
class EnrollmentCodeAdmin(HistoryAdmin):
    list_display = (
        "kind",
        "target",
        "created_by",
        "created_at",
        "expires_at",
        "used_at",
        "used_by",
        "revoked_at",
    )
    list_filter = ("kind",)
    search_fields = ("target", "used_by", "created_by")
    exclude = ("digest",)


class ConfirmationInline(admin.TabularInline):
    model = models.CutoverConfirmation
    extra = 0


@admin.register(models.LogExport)
class LogExportAdmin(HistoryAdmin):
    list_display = ("name", "machine", "state", "size", "asked_by", "asked_at", "expires_at")
    list_filter = ("state",)
    search_fields = ("name", "machine", "asked_by")


@admin.register(models.LogPart)
class LogPartAdmin(HistoryAdmin):
    """Only that it is there; what is in it is fetched as an archive, by operators."""

    list_display = ("export", "number")
    list_select_related = ("export",)
    search_fields = ("export__name", "export__machine")

    def get_queryset(self, request: HttpRequest) -> QuerySet[models.LogPart]:
        return super().get_queryset(request).defer("data")


@admin.register(models.Cutover)
class CutoverAdmin(HistoryAdmin):
    list_display = ("requested_at", "reason", "target", "version")
    search_fields = ("reason", "target")
    date_hierarchy = "requested_at"
    inlines = (ConfirmationInline,)


@admin.register(models.CutoverConfirmation)
class CutoverConfirmationAdmin(HistoryAdmin):
    list_display = ("cutover", "gateway", "confirmed_at", "flows_cut")
    list_filter = ("gateway",)
    search_fields = ("cutover__reason", "cutover__target")
    list_select_related = ("cutover", "gateway")


@admin.register(models.ConfigVersion)
class ConfigVersionAdmin(HistoryAdmin):
    list_display = ("version", "servers_version")
    list_filter = ()


@admin.register(models.ReceivedBatch)
class ReceivedBatchAdmin(HistoryAdmin):
    list_display = ("machine", "batch", "received_at")
    search_fields = ("machine",)
    date_hierarchy = "received_at"


@admin.register(models.Task)
class TaskAdmin(HistoryAdmin):
    list_display = ("title", "kind", "state", "done", "failed", "total", "actor", "created_at", "finished_at")
    list_filter = ("state", "kind")
    search_fields = ("id", "title", "actor")
    date_hierarchy = "created_at"


@admin.register(models.TaskItem)
class TaskItemAdmin(HistoryAdmin):
    list_display = ("name", "task", "position", "state", "message", "finished_at")
    list_filter = ("state",)
    list_select_related = ("task",)
    search_fields = ("task__id", "name")
    show_full_result_count = False

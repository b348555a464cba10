"""Django admin of gateways, machines' keys and codes, their logs, and cut-overs."""

from django.contrib import admin
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest

from console.core.access import actor
from console.core.admin_services import HistoryAdmin, ServiceAdmin
from console.machines import services
from console.machines.models.config import (
    Cutover,
    CutoverConfirmation,
    EndedSession,
    PastEpoch,
    ReceivedBatch,
)
from console.machines.models.logs import LogExport, LogPart
from console.machines.models.machines import EnrollmentCode, Gateway, MachineKey, SignedCall
from console.machines.models.pki import Authority
from console.machines.models.starts import AgentStart
from console.machines.models.upgrades import AreaUpgrade, GatewayUpgrade


@admin.register(Gateway)
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

    def create(self, request: HttpRequest, form: ModelForm) -> Gateway:
        return services.gateway_create(actor=actor(request), **form.cleaned_data)

    def update(self, request: HttpRequest, obj: Gateway, form: ModelForm) -> Gateway:
        return services.gateway_update(gateway=obj, actor=actor(request), **form.cleaned_data)

    def remove(self, request: HttpRequest, obj: Gateway) -> None:
        services.gateway_delete(gateway=obj, actor=actor(request))


@admin.register(Authority)
class AuthorityAdmin(HistoryAdmin):
    list_display = ("key_id", "kind", "active", "created_at")
    list_filter = ("kind", "active")
    search_fields = ("key_id",)
    exclude = ("private_key",)


@admin.register(MachineKey)
class MachineKeyAdmin(HistoryAdmin):
    list_display = ("machine", "kind", "created_at")
    list_filter = ("kind",)
    search_fields = ("machine",)


@admin.register(AgentStart)
class AgentStartAdmin(HistoryAdmin):
    list_display = ("key", "hostname", "address", "since", "seen_at", "returns", "refused_at")
    list_filter = ("key__kind",)
    list_select_related = ("key",)
    search_fields = ("key__machine", "hostname", "address", "start")


@admin.register(SignedCall)
class SignedCallAdmin(HistoryAdmin):
    list_display = ("id", "forget_at")
    search_fields = ("id",)


@admin.register(EnrollmentCode)
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


@admin.register(LogExport)
class LogExportAdmin(HistoryAdmin):
    list_display = ("name", "machine", "state", "size", "asked_by", "asked_at", "expires_at")
    list_filter = ("state",)
    search_fields = ("name", "machine", "asked_by")


@admin.register(LogPart)
class LogPartAdmin(HistoryAdmin):
    """Admin of pieces without their content, which operators fetch as an archive."""

    list_display = ("export", "number")
    list_select_related = ("export",)
    search_fields = ("export__name", "export__machine")

    def get_queryset(self, request: HttpRequest) -> QuerySet[LogPart]:
        return super().get_queryset(request).defer("data")


@admin.register(AreaUpgrade)
class AreaUpgradeAdmin(HistoryAdmin):
    list_display = ("area", "version", "state", "started_by", "created_at", "finished_at")
    list_filter = ("state", "area")
    list_select_related = ("area",)
    search_fields = ("version", "started_by")


@admin.register(GatewayUpgrade)
class GatewayUpgradeAdmin(HistoryAdmin):
    list_display = ("gateway", "upgrade", "state", "message", "changed_at")
    list_filter = ("state",)
    list_select_related = ("gateway", "upgrade__area")
    search_fields = ("gateway__id", "gateway__name")


class ConfirmationInline(admin.TabularInline):
    model = CutoverConfirmation
    extra = 0


@admin.register(Cutover)
class CutoverAdmin(HistoryAdmin):
    list_display = ("requested_at", "reason", "target", "version")
    search_fields = ("reason", "target")
    date_hierarchy = "requested_at"
    inlines = (ConfirmationInline,)


@admin.register(CutoverConfirmation)
class CutoverConfirmationAdmin(HistoryAdmin):
    list_display = ("cutover", "gateway", "confirmed_at", "flows_cut")
    list_filter = ("gateway",)
    search_fields = ("cutover__reason", "cutover__target")
    list_select_related = ("cutover", "gateway")


@admin.register(EndedSession)
class EndedSessionAdmin(HistoryAdmin):
    list_display = ("number", "session", "reason", "until")
    list_filter = ("reason",)
    search_fields = ("session",)


@admin.register(PastEpoch)
class PastEpochAdmin(HistoryAdmin):
    list_display = ("id", "ended_at", "reason", "machine")
    search_fields = ("id", "machine")
    date_hierarchy = "ended_at"


@admin.register(ReceivedBatch)
class ReceivedBatchAdmin(HistoryAdmin):
    list_display = ("machine", "batch", "received_at")
    search_fields = ("machine",)
    date_hierarchy = "received_at"

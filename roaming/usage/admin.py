"""Django admin of flows and usage: history that nobody edits."""

from django.contrib import admin

from console.core.admin_services import HistoryAdmin
from roaming.usage.models.flows import Flow
from roaming.usage.models.usage import Usage


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

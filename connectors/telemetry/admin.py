"""Measurements in Django admin, all read-only: machines wrote them."""

from django.contrib import admin

from connectors.telemetry.models import (
    Comparison,
    Disagreement,
    FiveMinutes,
    Hour,
    Latest,
    Sample,
    StaleRollup,
)
from console.core.admin_services import HistoryAdmin


@admin.register(Sample)
class SampleAdmin(HistoryAdmin):
    list_display = ("server", "time", "seconds", "rx_bytes", "tx_bytes", "cpu_percent", "memory_percent")
    list_filter = ("server__connector", "time")
    list_select_related = ("server",)
    search_fields = ("server__id", "server__hostname")
    show_full_result_count = False


@admin.register(FiveMinutes, Hour)
class RollupAdmin(HistoryAdmin):
    list_display = ("server", "start", "samples", "seconds", "rx_bytes", "tx_bytes", "rx_peak", "tx_peak")
    list_filter = ("server__connector",)
    list_select_related = ("server",)
    search_fields = ("server__id", "server__hostname")
    show_full_result_count = False


@admin.register(Latest)
class LatestAdmin(HistoryAdmin):
    list_display = ("server", "time", "rx_bytes", "tx_bytes", "cpu_percent", "latency_ms", "loss_percent")
    list_filter = ("server__connector",)
    list_select_related = ("server",)
    search_fields = ("server__id", "server__hostname")


@admin.register(Disagreement)
class DisagreementAdmin(HistoryAdmin):
    list_display = ("server", "hour", "told_rx", "told_tx", "counted_up", "counted_down")
    list_filter = ("server__connector",)
    list_select_related = ("server",)
    search_fields = ("server__id", "server__hostname")
    show_full_result_count = False


@admin.register(Comparison)
class ComparisonAdmin(HistoryAdmin):
    list_display = ("since",)
    search_fields = ("since",)


@admin.register(StaleRollup)
class StaleRollupAdmin(HistoryAdmin):
    list_display = ("server", "width", "start", "version")
    list_filter = ("width",)
    search_fields = ("server",)
    show_full_result_count = False

"""Django admin of uploads: history that nobody edits; the content stays hidden, because it may hold passwords."""

from django.contrib import admin

from console.core.admin_services import HistoryAdmin
from roaming.imports.models import AccountImport


@admin.register(AccountImport)
class AccountImportAdmin(HistoryAdmin):
    list_display = ("id", "instance", "owner", "created_at")
    list_select_related = ("instance", "owner")
    search_fields = ("id", "=instance__id", "owner__username")

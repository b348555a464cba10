"""Django admin of background tasks and their items."""

from django.contrib import admin

from console.core.admin_services import HistoryAdmin
from console.work.models import Task, TaskItem


@admin.register(Task)
class TaskAdmin(HistoryAdmin):
    list_display = ("title", "kind", "state", "done", "failed", "total", "actor", "created_at", "finished_at")
    list_filter = ("state", "kind")
    search_fields = ("id", "title", "actor")
    date_hierarchy = "created_at"


@admin.register(TaskItem)
class TaskItemAdmin(HistoryAdmin):
    list_display = ("name", "task", "position", "state", "message", "finished_at")
    list_filter = ("state",)
    list_select_related = ("task",)
    search_fields = ("task__id", "name")
    show_full_result_count = False

from django.urls import path

from console.work import views

app_name = "tasks"

urlpatterns = [
    path("", views.task_list, name="list"),
    path("<str:task_id>/", views.task_detail, name="detail"),
    path("<str:task_id>/progress/", views.task_progress, name="progress"),
    path("<str:task_id>/results/", views.task_results, name="results"),
    path("<str:task_id>/secrets/offer/", views.task_secrets_offer, name="secrets_offer"),
    path("<str:task_id>/secrets/", views.task_secrets, name="secrets"),
    path("<str:task_id>/confirm-cancel/", views.task_confirm_cancel, name="confirm_cancel"),
    path("<str:task_id>/cancel/", views.task_cancel, name="cancel"),
]

from django.urls import path

from console.push import views

app_name = "push"

urlpatterns = [
    path("", views.channel_list, name="list"),
    path("messages/", views.delivery_list, name="deliveries"),
    path("messages/<int:delivery_id>/retry/", views.delivery_retry, name="retry"),
    path("add/", views.channel_choose, name="choose"),
    path("add/<str:kind>/", views.channel_add, name="add"),
    path("<str:channel_id>/", views.channel_edit, name="edit"),
    path("<str:channel_id>/new-secret/", views.channel_new_secret, name="new_secret"),
    path("<str:channel_id>/test/", views.channel_test, name="test"),
    path("<str:channel_id>/enable/", views.channel_switch, {"enabled": True}, name="enable"),
    path(
        "<str:channel_id>/confirm-disable/", views.channel_confirm, {"act": "disable"}, name="confirm_disable"
    ),
    path("<str:channel_id>/disable/", views.channel_switch, {"enabled": False}, name="disable"),
    path("<str:channel_id>/confirm-delete/", views.channel_confirm, {"act": "delete"}, name="confirm_delete"),
    path("<str:channel_id>/delete/", views.channel_delete, name="delete"),
]

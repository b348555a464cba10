"""Map of the pages of Smart Access Gateway APP and CCN: it joins the features' lists under one namespace."""

from roaming.accounts.urls import urlpatterns as account_urls
from roaming.ccns.urls import urlpatterns as ccn_urls
from roaming.connecting.urls import urlpatterns as connecting_urls
from roaming.imports.urls import urlpatterns as import_urls
from roaming.instances.urls import urlpatterns as instance_urls
from roaming.sessions.urls import urlpatterns as session_urls
from roaming.usage.urls import urlpatterns as monitoring_urls

app_name = "roaming"

urlpatterns = [
    *instance_urls,
    *account_urls,
    *connecting_urls,
    *import_urls,
    *monitoring_urls,
    *session_urls,
    *ccn_urls,
]

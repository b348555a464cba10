"""List of the features' admin modules: Django imports this one, and importing each of them registers its models."""

from roaming.accounts import admin as accounts  # noqa: F401
from roaming.ccns import admin as ccns  # noqa: F401
from roaming.imports import admin as imports  # noqa: F401
from roaming.instances import admin as instances  # noqa: F401
from roaming.sessions import admin as sessions  # noqa: F401
from roaming.usage import admin as usage  # noqa: F401

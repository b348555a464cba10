"""The tests' settings for a worker process that knows ``test.note``; its database is the test's, by DATABASE_URL."""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS as APPS

INSTALLED_APPS = [*APPS, "tests.console.task_site"]

"""Switches the console to the shell's own small site for one test."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings

from console.models import Area, Region

HERE = Path(__file__).parent


@pytest.fixture
def shell_site(db: None, settings: Any) -> Iterator[None]:
    """The site's URLs and templates, with five regions in two areas."""
    templates = [{**settings.TEMPLATES[0], "DIRS": [*settings.TEMPLATES[0]["DIRS"], HERE / "templates"]}]
    Region.objects.all().delete()
    for position, name in enumerate(["Mainland China", "Singapore"]):
        Area.objects.update_or_create(
            pk=name.lower().replace(" ", "-"), defaults={"name": name, "position": position}
        )
    for position, (key, name, area) in enumerate(
        [
            ("cn-shanghai", "China (Shanghai)", "mainland-china"),
            ("cn-beijing", "China (Beijing)", "mainland-china"),
            ("cn-chengdu", "China (Chengdu)", "mainland-china"),
            ("ap-southeast-1", "Singapore", "singapore"),
            ("eu-central-1", "Frankfurt", "singapore"),
        ]
    ):
        Region.objects.create(pk=key, name=name, area_id=area, position=position)
    with override_settings(ROOT_URLCONF="tests.console.shell_site.urls", TEMPLATES=templates):
        yield

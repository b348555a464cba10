"""Samples: whatever the order and however often batches come, each counts once."""

import time
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.db.models import Sum
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from connectors.models import Sample, Server
from connectors.telemetry import intake, store
from tests.connectors.factories import sample

pytestmark = pytest.mark.django_db


@settings(max_examples=25)
@given(counts=st.lists(st.integers(0, 2**30), min_size=1, max_size=8), data=st.data())
def test_any_order_and_repetition_of_batches_gives_the_same_sums(
    server: Server, counts: list[int], data: DataObject
) -> None:
    Sample.objects.all().delete()
    now = time.time()
    records = [sample(time=now - 2 * place, rx_bytes=count, tx_bytes=0) for place, count in enumerate(counts)]
    batches = [records[place : place + 3] for place in range(0, len(records), 3)]
    repeated = batches + data.draw(st.lists(st.sampled_from(batches), max_size=3))
    for content in data.draw(st.permutations(repeated)):
        samples = intake.samples_of(server.pk, content)
        assert len(samples) == len(content)
        store.write(samples)
    assert Sample.objects.aggregate(Sum("rx_bytes"))["rx_bytes__sum"] == sum(counts)


@settings(max_examples=40)
@given(
    junk=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["time", "seconds", "rx_bytes", "tx_bytes", "flow", "x"]), inner
            )
        ),
        max_leaves=8,
    )
)
def test_no_junk_makes_the_console_fail(
    server: Server, junk: bool | dict[str, Any] | list[Any] | None
) -> None:
    store.write(intake.samples_of(server.pk, [junk]))


def test_the_database_itself_refuses_a_second_sample_and_one_of_no_length(server: Server) -> None:
    now = timezone.now()
    Sample.objects.create(server=server, time=now, seconds=2, rx_bytes=1, tx_bytes=1)
    for seconds in (2, 0):
        with pytest.raises(IntegrityError), transaction.atomic():
            Sample.objects.create(server=server, time=now, seconds=seconds, rx_bytes=1, tx_bytes=1)

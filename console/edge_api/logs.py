"""Calls by which machines send the logs that they were asked for. Shapes: ``edge.protocol.reports``."""

import base64

from django.http import HttpRequest
from ninja import Router

from console.core.errors import Invalid
from console.edge_api.front import serve
from console.edge_api.routes import AnyMachine
from console.edge_api.signature import machine_of
from console.machines import logs
from edge.protocol.reports import LogPart, LogsFailed, Nothing

router = Router()


@serve(router, "logs", LogPart, auth=AnyMachine())
def part(request: HttpRequest, piece: LogPart) -> Nothing:
    """Take in a piece of an archive."""
    try:
        data = base64.b64decode(piece.data, validate=True)
    except ValueError as error:  # binascii.Error, or text that is not even ASCII
        raise Invalid("data must be base64.", field="data") from error
    logs.part_arrived(
        machine=machine_of(request).id, export=piece.export, number=piece.part, data=data, last=piece.last
    )
    return Nothing()


@serve(router, "logs/failed", LogsFailed, auth=AnyMachine())
def failed(request: HttpRequest, word: LogsFailed) -> Nothing:
    """Note why there will be no archive."""
    logs.export_failed(machine=machine_of(request).id, export=word.export, message=word.message)
    return Nothing()

"""Routes by which machines send the logs that they were asked for. Shapes: docs/architecture.md."""

import base64
from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Router
from pydantic import Field, StringConstraints

from console.core.errors import Invalid
from console.edge_api.front import Schema
from console.edge_api.routes import AnyMachine
from console.edge_api.signature import machine_of
from console.machines import logs
from console.machines.reported import Message, ReportedText

router = Router()
# Length of the largest piece in base64.
LONGEST = logs.PART_BYTES * 4 // 3 + 4

Export = Annotated[str, StringConstraints(max_length=40, pattern=r"^[^\x00]*$")]


class Part(Schema):
    export: Export
    part: int = Field(ge=0, le=10_000)
    last: bool
    data: Annotated[str, StringConstraints(max_length=LONGEST)]


class Failed(Schema):
    export: Export
    message: ReportedText[Message] = ""


@router.post("logs", auth=AnyMachine())
def part(request: HttpRequest, payload: Part) -> dict[str, Any]:
    try:
        data = base64.b64decode(payload.data, validate=True)
    except ValueError as error:  # binascii.Error, or text that is not even ASCII
        raise Invalid("data must be base64.", field="data") from error
    logs.part_arrived(
        machine=machine_of(request).id,
        export=payload.export,
        number=payload.part,
        data=data,
        last=payload.last,
    )
    return {}


@router.post("logs/failed", auth=AnyMachine())
def failed(request: HttpRequest, payload: Failed) -> dict[str, Any]:
    logs.export_failed(machine=machine_of(request).id, export=payload.export, message=payload.message)
    return {}

from console.models.access import AccessKey, User
from console.models.audit import AuditRow
from console.models.config import ConfigVersion, Cutover, CutoverConfirmation, ReceivedBatch
from console.models.geography import Area, Region
from console.models.logs import LogExport, LogPart
from console.models.machines import EnrollmentCode, Gateway, MachineKey
from console.models.pki import Authority
from console.models.push import PushChannel, PushDelivery, PushMessage
from console.models.tasks import Task, TaskItem

__all__ = [
    "AccessKey",
    "Area",
    "AuditRow",
    "Authority",
    "ConfigVersion",
    "Cutover",
    "CutoverConfirmation",
    "EnrollmentCode",
    "Gateway",
    "LogExport",
    "LogPart",
    "MachineKey",
    "PushChannel",
    "PushDelivery",
    "PushMessage",
    "ReceivedBatch",
    "Region",
    "Task",
    "TaskItem",
    "User",
]

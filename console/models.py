from console.core.models.access import (
    AccessKey,
    LogIn,
    OpenIdentity,
    PasswordLink,
    SecondFactor,
    User,
)
from console.core.models.audit import AuditCheckpoint, AuditRow, FailedLogIns
from console.core.models.geography import Area, Region
from console.core.models.submissions import Submission
from console.core.models.version import ConfigVersion
from console.machines.models.config import (
    Cutover,
    CutoverConfirmation,
    EndedSession,
    PastEpoch,
    ReceivedBatch,
)
from console.machines.models.logs import LogExport, LogPart
from console.machines.models.machines import EnrollmentCode, Gateway, MachineKey, SignedCall
from console.machines.models.pki import Authority
from console.machines.models.starts import AgentStart
from console.machines.models.upgrades import AreaUpgrade, GatewayUpgrade
from console.push.models import PushChannel, PushDelivery, PushMessage
from console.work.models import Task, TaskItem

__all__ = [
    "AccessKey",
    "AgentStart",
    "Area",
    "AreaUpgrade",
    "AuditCheckpoint",
    "AuditRow",
    "Authority",
    "ConfigVersion",
    "Cutover",
    "CutoverConfirmation",
    "EndedSession",
    "EnrollmentCode",
    "FailedLogIns",
    "Gateway",
    "GatewayUpgrade",
    "LogExport",
    "LogIn",
    "LogPart",
    "MachineKey",
    "OpenIdentity",
    "PasswordLink",
    "PastEpoch",
    "PushChannel",
    "PushDelivery",
    "PushMessage",
    "ReceivedBatch",
    "Region",
    "SecondFactor",
    "SignedCall",
    "Submission",
    "Task",
    "TaskItem",
    "User",
]

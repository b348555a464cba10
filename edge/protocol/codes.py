"""Why something is refused: each reason once, with its HTTP status and the sentence that its reader gets.

A code is a text, and stays one on the wire (``x-causeway-reason`` of gateways and servers, ``error.code`` of the
console), so that a code of another release is no error to whoever reads it. docs/architecture.md lists them under
"Status codes".
"""

from __future__ import annotations

from enum import StrEnum


class Code(StrEnum):
    """`status`: with which a gateway or the console answers. `sentence`: for whoever has nothing more exact to say."""

    status: int
    sentence: str

    def __new__(cls, text: str, status: int, sentence: str) -> Code:
        """Make a member whose value is `text`."""
        code = str.__new__(cls, text)
        code._value_ = text
        code.status, code.sentence = status, sentence
        return code

    # -- A flow that is let through
    CLOUD_NETWORK = "CloudNetwork", 200, "Allowed by the cloud network."
    POLICY_MATCHED = "PolicyMatched", 200, "Allowed by a forwarding policy."

    # -- Who asks
    CREDENTIALS_MISSING = (
        "CredentialsMissing",
        407,
        "Log on with your user name @ instance id and your password.",
    )
    CREDENTIALS_MALFORMED = "CredentialsMalformed", 407, "The credentials cannot be read."
    LOGON_REFUSED = "LogonRefused", 407, "The instance, user name or password is wrong."
    TOKEN_REFUSED = "TokenRefused", 407, "The session token is not valid. Log on again."
    SESSION_ENDED = "SessionEnded", 407, "The session has ended. Log on again."
    ACCOUNT_DISABLED = "AccountDisabled", 403, "This account is disabled. Ask your administrator."
    INSTANCE_INACTIVE = "InstanceInactive", 403, "This instance is not active. Ask your administrator."
    LOCKED_OUT = "LockedOut", 403, "Too many log-ons failed. Try again later."
    LEASE_EXHAUSTED = (
        "LeaseExhausted",
        503,
        "Every client IP of the instance is in use. Try again later, or ask your administrator.",
    )

    # -- What is asked for
    NO_MATCH = "NoMatch", 403, "No application and forwarding policy allows it for this account."
    NOT_SERVED = (
        "NotServed",
        403,
        "The connector's server does not know this application yet. Try again in a moment.",
    )
    CONNECTOR_DISABLED = "ConnectorDisabled", 403, "The connector that leads there is switched off."
    CONNECTOR_NOT_LICENSED = (
        "ConnectorNotLicensed",
        403,
        "The license of the connector that leads there has expired.",
    )
    CONNECTOR_OFFLINE = "ConnectorOffline", 503, "The connector that leads there has no live tunnel."
    DESTINATION_INVALID = "DestinationInvalid", 400, "The destination's name or port is not valid."
    DESTINATION_UNREACHABLE = "DestinationUnreachable", 503, "The destination does not answer."
    DESTINATION_FORBIDDEN = (
        "DestinationForbidden",
        403,
        "It is the connector's server itself or a neighbour of it, and no origin says so.",
    )
    ANSWER_INVALID = "AnswerInvalid", 502, "Its answer is no HTTP that can be passed on."
    TUNNEL_LOST = "TunnelLost", 503, "The tunnel to the connector's server was lost before an answer came."

    # -- How it is asked
    HEADERS_TOO_LARGE = (
        "HeadersTooLarge",
        431,
        "The program sent more headers, or longer ones, than can be passed on.",
    )
    REQUEST_INVALID = "RequestInvalid", 400, "What the program sent is not valid HTTP."
    REQUEST_TIMED_OUT = "RequestTimedOut", 408, "The program did not send its request in time."
    NOT_A_PROXY_REQUEST = "NotAProxyRequest", 400, "The program did not send it as to a proxy."
    METHOD_UNSUPPORTED = (
        "MethodUnsupported",
        400,
        "The program sent it in a way that gateways do not support.",
    )

    # -- What the gateway cannot do now
    BANDWIDTH_UNAVAILABLE = (
        "BandwidthUnavailable",
        503,
        "The gateway has no room for another account with a bandwidth limit. Try again later.",
    )
    TOO_MANY_FLOWS = (
        "TooManyFlows",
        429,
        "Connections are opened faster than the gateway can let them in. Try again in a moment.",
    )
    NOT_CONFIGURED = "NotConfigured", 503, "The gateway has no configuration."
    CONSOLE_LOST = (
        "ConsoleLost",
        503,
        "The gateway has not heard from its console for too long to let anyone in.",
    )
    CONSOLE_UNREACHABLE = "ConsoleUnreachable", 503, "The gateway cannot reach its console."
    CONSOLE_REFUSED = "ConsoleRefused", 503, "The gateway's console does not accept the gateway."
    GATEWAY_AGENT_DOWN = (
        "GatewayAgentDown",
        503,
        "The gateway cannot decide on new connections now. Try again in a moment.",
    )
    GATEWAY_UNREACHABLE = "GatewayUnreachable", 503, "No gateway answered."
    INTERNAL_ERROR = "InternalError", 503, "The gateway could not decide; its log says why."

    # -- What the console refuses a machine
    TRY_AGAIN_LATER = (
        "TryAgainLater",
        503,
        "The console has more to do than it can now. Try again in a moment.",
    )
    CLOCK_SKEW = "ClockSkew", 401, "The machine's clock is off; see the Date header."
    MACHINE_UNKNOWN = (
        "MachineUnknown",
        404,
        "This machine is not known to the console; it may have been removed.",
    )
    MACHINE_CLONED = (
        "MachineCloned",
        403,
        "This machine is a copy of another one, and was told in the console to enroll anew. Make a new command in the "
        "console's Deploy panel and run that command here.",
    )


# With these the gateway speaks of the session, and not of the destination.
ENDS_SESSION = frozenset({Code.SESSION_ENDED, Code.ACCOUNT_DISABLED, Code.INSTANCE_INACTIVE})
# A gateway that says one of these could not decide or has no way or no room; the next one may. Nothing has reached an
# application then, so that trying again is safe.
ANOTHER_GATEWAY_MAY = (
    Code.BANDWIDTH_UNAVAILABLE,
    Code.CONNECTOR_OFFLINE,
    Code.CONSOLE_LOST,
    Code.CONSOLE_REFUSED,
    Code.CONSOLE_UNREACHABLE,
    Code.GATEWAY_AGENT_DOWN,
    Code.INTERNAL_ERROR,
    Code.NOT_CONFIGURED,
)

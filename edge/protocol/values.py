"""Kinds of values that several messages have, each with its limits and the words by which a refusal names them."""

from typing import Annotated

from msgspec import Meta

# What a database takes: neither NUL nor halves of characters, which JSON can hold.
PLAIN = r"^[^\x00\ud800-\udfff]*\Z"
MOST = 2**53  # whole numbers that every reader of JSON keeps exact

Id = Annotated[str, Meta(max_length=40, pattern=PLAIN, description="an id of at most 40 characters")]
Pem = Annotated[str, Meta(max_length=8192, pattern=PLAIN, description="PEM of at most 8,192 characters")]

# What machines say of themselves and measure.
Text = Annotated[str, Meta(max_length=255, description="at most 255 printable characters")]
Word = Annotated[str, Meta(max_length=40, description="at most 40 printable characters")]
State = Annotated[str, Meta(max_length=20, description="at most 20 printable characters")]
# Why something failed, for people; the console keeps the first 2,000 characters.
Reason = Annotated[str, Meta(description="a text of whatever length")]
# IP address; its scope (``%eth0``) means nothing elsewhere. Empty where there is none.
Address = Annotated[str, Meta(max_length=100, description="an IP address")]
Count = Annotated[int, Meta(ge=0, le=2**31 - 1, description="a whole number, 0 or more")]
Version = Annotated[int, Meta(ge=0, le=MOST, description="a whole number, 0 or more")]
# Of the configuration (`edge.protocol.edition`); empty from and to a release that knows none.
Epoch = Annotated[
    str, Meta(pattern=r"^[0-9a-z]{0,32}\Z", description="an epoch's name of at most 32 characters")
]
# Proof that the console gave out an edition, which the console alone can make; a machine keeps it and sends it back.
Seal = Annotated[
    str, Meta(pattern=r"^[0-9a-f]{0,64}\Z", description="a seal of at most 64 hexadecimal digits")
]
# How far a gateway knows what ended; the console alone reads it, and a gateway sends it back as it came.
Mark = Annotated[
    str,
    Meta(
        pattern=r"^([0-9]{1,16}\.[!-~]{1,40})?\Z",
        description="a number, a point and an id, as they came, or empty",
    ),
]
Seconds = Annotated[float, Meta(ge=0, le=2**40, description="a number of seconds, 0 or more")]
Milliseconds = Annotated[float, Meta(ge=0, le=600_000, description="milliseconds, at most 600,000")]
Percent = Annotated[float, Meta(ge=0, le=100, description="a number from 0 to 100")]
# Several processors in use by one program make more than 100 %.
CpuPercent = Annotated[float, Meta(ge=0, le=100_000, description="a percentage, 0 or more")]
# From 2020 on: what is older comes of a clock that was never set.
Moment = Annotated[float, Meta(ge=1_577_836_800, le=2**40, description="seconds of the epoch, since 2020")]

"""Tokens of the shape that the console gives; the lab's gateway compares their text."""

import time

import jwt

SECRET = "a key of the test's console, long enough to sign with"


def token(number: int, *, life: float = 600.0) -> str:
    """Return a token of the shape that the console gives."""
    now = int(time.time())
    claims = {"sub": "user-1", "jti": str(number), "iat": now, "exp": now + life}
    return jwt.encode(claims, SECRET, algorithm="HS256")

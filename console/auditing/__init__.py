"""The audit to people: lock-outs of users, the nightly verification, and the end of old rows."""

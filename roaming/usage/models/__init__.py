"""Tables of flows and of bytes in buckets."""

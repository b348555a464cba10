"""Usage, the bytes that flows carried: records of gateways, sums in buckets, the Monitoring tab."""

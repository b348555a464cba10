"""``causeway connect``: a local proxy and port forwards that carry a user's session by themselves."""

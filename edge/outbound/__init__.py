"""Ways out of a machine of ours: which proxy a connection goes by, whose certificates it trusts, why it failed.

Whatever leaves a gateway, a connector server, a user's machine or the console goes by these modules.
"""

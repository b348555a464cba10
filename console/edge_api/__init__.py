"""The edge API, which gateways, connector servers and clients call. Routes: docs/architecture.md.

Apps add their routes with ``api.add_router`` in ``AppConfig.ready()``.
"""

from console.edge_api.front import api, serve
from console.edge_api.signature import Machine, machine_of, signed

__all__ = ["Machine", "api", "machine_of", "serve", "signed"]

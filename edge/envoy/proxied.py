"""Ways to gateways where only an HTTP proxy leads out: a local listener that carries bytes by CONNECT.

Whatever dials a gateway dials the listener in its place: connections of reverse tunnels have to be those of the
operating system, each with a port of its own. The listener is on a loopback address made from its key, so that agent
and Envoy need not agree on one. The password lies in a file of its own, which no log and no archive holds.
"""

import hashlib
import sys

from edge.envoy import parts
from edge.envoy.parts import Config, typed
from edge.envoy.secrets import generic_secret, taken
from edge.outbound.policy import Proxy, joined

CLUSTER = "proxy"
FILE, SECRET = "proxy.json", "proxy"
_KEY = "causeway.proxy"
_FIRST_PORT, _PORTS = 20_000, 12_000  # below the ports that the system gives to outgoing connections


def place(key: str) -> tuple[str, int]:
    """Return address and port of the listener for `key`, which names this Envoy's folder and the gateway."""
    digest = hashlib.sha256(key.encode()).digest()
    port = _FIRST_PORT + int.from_bytes(digest[:4], "big") % _PORTS
    if sys.platform != "linux":  # elsewhere 127.0.0.1 is the only address of 127.0.0.0/8
        return "127.0.0.1", port
    return f"127.{1 + digest[4] % 254}.{digest[5]}.{1 + digest[6] % 254}", port


def secret_file(proxy: Proxy) -> bytes:
    """Return the file from which Envoy takes what it tells the proxy of us."""
    return generic_secret(SECRET, proxy.authorization or "-")


def cluster(proxy: Proxy) -> Config:
    """Cluster that is the proxy itself."""
    made = parts.static_cluster(CLUSTER, [parts.address(proxy.host, proxy.port)])
    return {**made, "type": "STRICT_DNS", "dns_lookup_family": "V4_PREFERRED"}


def listener(key: str, host: str, port: int, proxy: Proxy) -> Config:
    """Listener whose connections end at a gateway; the proxy looks the gateway's name up."""
    tunneling: Config = {"hostname": joined(host, port)}
    filters: list[Config] = []
    if proxy.authorization:
        value = {"key": "Proxy-Authorization", "value": f"%FILTER_STATE({_KEY}:PLAIN)%"}
        tunneling["headers_to_add"] = [{"header": value}]
        filters = [taken(SECRET, FILE, _KEY)]
    carry = typed(
        "tcp",
        "filters.network.tcp_proxy.v3.TcpProxy",
        stat_prefix=CLUSTER,
        cluster=CLUSTER,
        idle_timeout="0s",
        tunneling_config=tunneling,
    )
    address, number = place(key)
    return {
        "name": f"{CLUSTER}-{address}-{number}",
        "address": parts.address(address, number),
        "filter_chains": [{"filters": [*filters, carry]}],
    }

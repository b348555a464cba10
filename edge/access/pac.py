"""Proxy auto-configuration (PAC): which hosts and ports a browser asks a proxy for, in the meaning that gateways give.

A browser runs the file's JavaScript for every request. Addresses are those of applications, so that the file sends by
the proxy what a gateway would let through, and everything else straight.
"""

import json
from collections.abc import Iterable, Sequence

from edge.access.hosts import Pattern, parse_pattern
from edge.access.snapshot import Snapshot

MEDIA_TYPE = "application/x-ns-proxy-autoconfig"
PATH = "/proxy.pac"
Ports = tuple[tuple[int, int], ...]
EVERY_PORT: Ports = ()
Rule = tuple[str, Ports]
"""Address in its one form, and the ports that go by the proxy there; `EVERY_PORT` for all."""


def policies_of(account: str, snapshot: Snapshot) -> int:
    """Return the policies for an account, as bits."""
    return snapshot.any_user_mask | snapshot.account_masks.get(account, 0)


def rules_of(account: str, instance: str, snapshot: Snapshot) -> list[Rule]:
    """Return what an account may ask a gateway for: its applications by policies, and cloud networks of its instance.

    A policy counts whether or not its connector can be used now: the gateway says why the connector cannot.
    """
    users = policies_of(account, snapshot)
    found: dict[str, list[tuple[int, int]]] = {}
    for address, application in snapshot.applications.entries():
        named = snapshot.any_application_mask | snapshot.application_masks.get(application.id, 0)
        if users & named:
            found.setdefault(str(address), []).extend(application.ports)
    rules = [(address, _joined(ports)) for address, ports in found.items()]
    home = snapshot.instances.get(instance)
    if home is not None and home.area == snapshot.gateway.area:
        rules += [(str(Pattern(network=network)), EVERY_PORT) for network, _ in home.networks.entries()]
    return sorted(rules)


def _joined(ports: Iterable[tuple[int, int]]) -> Ports:
    """Join ranges that touch; all ports are `EVERY_PORT`."""
    joined: list[tuple[int, int]] = []
    for low, high in sorted(ports):
        if joined and low <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(high, joined[-1][1]))
        else:
            joined.append((low, high))
    return EVERY_PORT if joined == [(1, 65535)] else tuple(joined)


def pac_file(rules: Sequence[Rule] | None, proxy: str) -> str:
    """Return the file. `rules`: what goes by `proxy` (``PROXY host:port``); None: every host with a dot in its name."""
    if rules is None:
        return (
            "function FindProxyForURL(url, host) {\n"
            f'  return isPlainHostName(host) ? "DIRECT" : {json.dumps(proxy)};\n}}\n'
        )
    hosts: dict[str, Ports] = {}
    networks: list[tuple[list[int], int, Ports]] = []
    for address, ports in rules:
        network = parse_pattern(address).network
        if network is None:
            hosts[f"{address}."] = (
                ports  # the dot keeps a name such as __proto__ apart from what objects have
            )
        else:
            networks.append((_groups(network.family, network.value), network.prefix, ports))
    tables = f"var proxy = {json.dumps(proxy)};\n"
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(ports)}" for name, ports in hosts.items())
    tables += f"var hosts = {{\n{lines}\n}};\nvar networks = {json.dumps(networks)};\n"
    return tables + _SCRIPT


def _groups(family: int, value: int) -> list[int]:
    """Return an address as numbers of 16 bits: two of IPv4, eight of IPv6."""
    count = 2 if family == 4 else 8
    return [value >> 16 * (count - 1 - place) & 0xFFFF for place in range(count)]


# ECMAScript 5, for the engines of old systems.
_SCRIPT = r"""
function four(text) {
  var found = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (!found || found[1] > 255 || found[2] > 255 || found[3] > 255 || found[4] > 255) return null;
  return [found[1] * 256 + +found[2], found[3] * 256 + +found[4]];
}

function six(text) {
  var tail = four(text.slice(text.lastIndexOf(":") + 1));
  if (tail) text = text.slice(0, text.lastIndexOf(":") + 1) + tail[0].toString(16) + ":" + tail[1].toString(16);
  var halves = text.split("::"), groups = [], i, after = halves[1] ? halves[1].split(":") : [];
  if (halves.length > 2) return null;
  groups = halves[0] ? halves[0].split(":") : [];
  if (halves.length === 2) while (groups.length + after.length < 8) groups.push("0");
  groups = groups.concat(after);
  if (groups.length !== 8) return null;
  for (i = 0; i < 8; i++) {
    if (!/^[0-9a-f]{1,4}$/.test(groups[i])) return null;
    groups[i] = parseInt(groups[i], 16);
  }
  return groups.slice(0, 6).join() === "0,0,0,0,0,65535" ? groups.slice(6) : groups;
}

function portOf(url) {
  var found = /^([a-z][a-z0-9+.\-]*):\/\/(?:[^\/?#@]*@)?(?:\[[^\]]*\]|[^:\/?#]*)(?::(\d+))?/i.exec(url);
  if (!found) return 0;
  return found[2] ? +found[2] : {http: 80, ws: 80, https: 443, wss: 443, ftp: 21}[found[1].toLowerCase()] || 0;
}

function fits(ports, port) {
  if (!ports.length || !port) return true;
  for (var i = 0; i < ports.length; i++) if (ports[i][0] <= port && port <= ports[i][1]) return true;
  return false;
}

// Loopback and link-local addresses are only meant by a network that names them.
function least(address) {
  if (address.length === 2) {
    if (address[0] >> 8 === 127 || address[0] >> 8 === 0) return 8;
    return address[0] === 0xa9fe ? 16 : 0;
  }
  if (address.slice(0, 7).join() === "0,0,0,0,0,0,0" && address[7] < 2) return 128;
  return address[0] >> 6 === 0xfe80 >> 6 ? 10 : 0;
}

function within(address, network, prefix) {
  for (var i = 0; prefix > 0; i++, prefix -= 16) {
    var shift = prefix < 16 ? 16 - prefix : 0;
    if (address[i] >> shift !== network[i] >> shift) return false;
  }
  return true;
}

function byAddress(address, port) {
  for (var i = 0; i < networks.length; i++) {
    var network = networks[i][0], prefix = networks[i][1];
    if (network.length === address.length && prefix >= least(address) && within(address, network, prefix)
        && fits(networks[i][2], port)) return true;
  }
  return false;
}

function byName(name, port) {
  var found = Object.prototype.hasOwnProperty, key = name + ".", dot;
  if (found.call(hosts, key) && fits(hosts[key], port)) return true;
  while ((dot = name.indexOf(".")) >= 0) {
    name = name.slice(dot + 1);
    key = "*." + name + ".";
    if (found.call(hosts, key) && fits(hosts[key], port)) return true;
  }
  return false;
}

function FindProxyForURL(url, host) {
  host = host.toLowerCase().replace(/^\[|\]$/g, "");
  var address = host.indexOf(":") >= 0 ? six(host) : four(host), port = portOf(url);
  var goes = address ? byAddress(address, port) : byName(host.replace(/\.$/, ""), port);
  return goes ? proxy : "DIRECT";
}
"""

"""Trickle of real traffic by real sessions, so that charts move: ``python -m demo.traffic HOME/demo.json``.

Each account logs on at its area's gateway with its name and password, as a browser would, and now and then fetches
something of the wiki and of its area's cloud network.
"""

import json
import logging
import random
import ssl
import sys
import time
from pathlib import Path
from typing import Any

import httpx

log = logging.getLogger("demo.traffic")
PAUSE_SECONDS = (0.5, 2.5)
SIZES = (2_000, 50_000, 400_000, 1_500_000)


def clients(world: dict[str, Any]) -> list[tuple[httpx.Client, list[str]]]:
    """Return an HTTP client for each account, with the addresses that the client may fetch."""
    tls = ssl.create_default_context(cafile=world["ca_file"])
    proxies = {gateway["region"]: gateway["proxy"] for gateway in world["gateways"]}
    regions = {instance["id"]: instance["region"] for instance in world["instances"]}
    wiki = next(app for app in world["applications"] if app["name"] == "wiki")
    made = []
    for account in world["accounts"]:
        region = regions[account["instance"]]
        proxy = httpx.Proxy(
            proxies[region],
            auth=(f"{account['username']}@{account['instance']}", account["password"]),
            ssl_context=tls,
        )
        targets = [f"http://{wiki['host']}:{wiki['port']}/file"]
        targets += [
            f"http://{s['host']}:{s['port']}/file" for s in world["cloud_services"] if s["region"] == region
        ]
        made.append((httpx.Client(proxy=proxy, timeout=10, trust_env=False), targets))
    return made


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    choose = random.Random()
    everyone = clients(json.loads(Path(sys.argv[1]).read_text()))
    while True:
        client, targets = choose.choice(everyone)
        url = choose.choice(targets)
        try:
            answer = client.get(url, params={"bytes": choose.choice(SIZES)})
            if answer.status_code != 200:
                log.info("%s: %d %s", url, answer.status_code, answer.headers.get("x-causeway-reason", ""))
        except httpx.HTTPError as error:
            log.info("%s: %s", url, error)
        time.sleep(choose.uniform(*PAUSE_SECONDS))


if __name__ == "__main__":
    main()

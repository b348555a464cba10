"""The wheel that the console offers to its machines: found where pip installed it from, and copied."""

import hashlib
import json
import pwd
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlsplit

from console.installation import place
from console.installation.place import Refused, say


def version() -> str:
    """Return the release of Causeway that is installed here."""
    return metadata.version("causeway")


def installed_from() -> Path | None:
    """Return the wheel from which pip installed Causeway, if it is a file that is still there and the same."""
    try:
        told = json.loads(metadata.distribution("causeway").read_text("direct_url.json") or "{}")
    except (metadata.PackageNotFoundError, ValueError):
        return None
    parts = urlsplit(told.get("url", ""))
    path = Path(unquote(parts.path))
    if parts.scheme != "file" or path.suffix != ".whl":
        return None
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:  # gone, or in a folder of root's
        return None
    known = told.get("archive_info", {}).get("hashes", {}).get("sha256")
    return path if known in (None, found) else None


def offer(given: Path | None, folder: Path, owner: pwd.struct_passwd | None) -> None:
    """Put a wheel of this release into the folder of wheels; one that lies there is kept. Raise `Refused`."""
    there = sorted(folder.glob(f"causeway-{version()}-*.whl"))
    source = given or (None if there else installed_from())
    if source is None:
        if there:
            say(f"Keeping the machines' wheel {there[0].name}.")
        else:
            say(
                "Without a wheel for the machines: Causeway was not installed from a wheel that is still there. "
                f"Run “causeway-console setup --wheel FILE”, or copy causeway-{version()}-….whl into {folder}."
            )
    elif not source.is_file() or not source.name.startswith("causeway-") or source.suffix != ".whl":
        raise Refused(f"{source} is no wheel of Causeway, such as dist/causeway-{version()}-….whl.")
    else:
        place.put_by(owner, folder / source.name, source.read_bytes())
        say(f"Copied the machines' wheel {source.name}.")

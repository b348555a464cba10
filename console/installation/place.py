"""Where a console lies on its machine, whose files it has, and how root becomes their owner."""

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import MutableMapping
from pathlib import Path

from console.core import environment_file
from console.core.environment_file import EnvironmentFileInvalid
from console.core.own_file import OTHERS
from edge.home import Home

SYSTEM_FILE = Path("/etc/causeway/console.env")
SYSTEM_STATE = Path("/var/lib/causeway/console")
SYSTEM_USER = "causeway-console"
# Sign of an environment that has the settings already, as systemd gives it to a service.
MARK = "CAUSEWAY_SECRET_KEY"


class Refused(Exception):
    """Failure that a person can mend; the message names the object and the way out."""


def say(sentence: str) -> None:
    print(sentence, flush=True)  # noqa: T201


def is_setting(name: str) -> bool:
    return name.startswith("CAUSEWAY_") or name == "DATABASE_URL"


def default_file() -> Path:
    """Return the environment file of this machine, or of this user where the machine has none."""
    if os.geteuid() == 0 or SYSTEM_FILE.exists():
        return SYSTEM_FILE
    return Path.home() / ".config/causeway/console.env"


def default_state() -> Path:
    return SYSTEM_STATE if os.geteuid() == 0 else Path.home() / ".local/share/causeway/console"


def read(file: Path) -> dict[str, str]:
    """Return the variables of an environment file. Raise `Refused` for one that is not there, closed, or wrong."""
    try:
        return environment_file.read(file)
    except EnvironmentFileInvalid as wrong:
        if file.exists() and not os.access(file, os.R_OK):
            raise Refused(
                f"{file} belongs to {owner(file)}. Run this command as root, or as that user."
            ) from None
        if not file.exists():
            raise Refused(
                f"There is no environment file {file}. Run causeway-console setup, or name another file with "
                "--environment FILE before the command."
            ) from None
        raise Refused(f"{wrong} Put the file right.") from None


def owner(path: Path) -> str:
    uid = path.stat().st_uid
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"the user with the number {uid}"


def take(file: Path | None, environment: MutableMapping[str, str]) -> Path | None:
    """Put the settings of the environment file into an environment; return the file that counts.

    Settings come from one place as a whole: from ``file``, else from the environment itself where the environment has
    a secret key (None is returned then), else from the file of this machine.
    """
    if file is None and environment.get(MARK):
        return None
    chosen = (file or default_file()).absolute()
    variables = read(chosen)
    for name in [name for name in environment if is_setting(name)]:
        del environment[name]
    environment.update(variables)
    return chosen


def become_owner(folder: Path) -> None:
    """Have root become the owner of the console's files, so that no file of root's stands among them for ever.

    Raise `Refused` for a user who is neither root nor that owner.
    """
    if not folder.is_dir():
        raise Refused(f"The state directory {folder} is not there. Run causeway-console setup.")
    status = folder.stat()
    if os.geteuid() not in (0, status.st_uid):
        raise Refused(f"The console's files in {folder} belong to {owner(folder)}. Run this command as root.")
    if os.geteuid() != 0 or status.st_uid == 0:
        return
    try:
        user = pwd.getpwuid(status.st_uid)
    except KeyError:
        raise Refused(f"{folder} belongs to {owner(folder)}, who is unknown here: chown -R it.") from None
    os.initgroups(user.pw_name, user.pw_gid)
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    os.environ.update(HOME=str(folder), USER=user.pw_name, LOGNAME=user.pw_name)


def make_user(name: str) -> pwd.struct_passwd:
    """Return the user of the services, who is made where there is none and may do nothing else."""
    try:
        return pwd.getpwnam(name)
    except KeyError:
        pass
    if shutil.which("useradd") is None:
        raise Refused(
            f"There is no user {name}, and no useradd to make one. Make a system user of that name."
        )
    command = ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
    done = subprocess.run(
        [*command, "--shell", "/usr/sbin/nologin", name], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Refused(f"The user {name} cannot be made: {done.stderr.strip()}")
    return pwd.getpwnam(name)


def put(target: Path, content: bytes) -> None:
    """Write a file of its owner's alone, by one rename, since somebody may read it at once."""
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    Home(target.parent).write_atomic(target.name, content)


def put_by(owner: pwd.struct_passwd | None, target: Path, content: bytes) -> None:
    """Do as `put` does, as the owner of the console's files: where others write, root follows no links of theirs."""
    if owner is None:
        put(target, content)
        return
    program = "import sys; from pathlib import Path; from console.installation.place import put; "
    program += "put(Path(sys.argv[1]), sys.stdin.buffer.read())"
    done = as_owner(owner, program, str(target), content=content)
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise Refused(f"{owner.pw_name} cannot write {target}: {reason}")


def as_owner(
    owner: pwd.struct_passwd, program: str, *words: str, content: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    """Run a piece of Python as another user, with the packages of this installation."""
    return subprocess.run(
        [sys.executable, "-P", "-c", program, *words], input=content, capture_output=True, check=False, cwd="/",
        user=owner.pw_uid, group=owner.pw_gid, extra_groups=os.getgrouplist(owner.pw_name, owner.pw_gid), umask=OTHERS,
    )  # fmt: skip

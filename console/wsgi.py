"""The WSGI entry point, served by granian."""

import gc
import multiprocessing
import os
import threading
from typing import Any

from django.core.wsgi import get_wsgi_application
from django.utils.http import parse_header_parameters

from console.core.own_file import OTHERS
from console.front import BEHIND_FRONT

PIECE = 2**16

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")


def leave_with_parent() -> None:
    """End this worker when the server's main process is gone: killed, it could not tell its workers to stop."""
    if parent := multiprocessing.parent_process():

        def wait() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=wait, name="parent-watch", daemon=True).start()


def read_whole(application: Any) -> Any:
    """Read what the console left of a request's body: a server that hangs up on a sender may lose its own answer.

    Behind the front, where every body is there already; of a stranger that would wait for a slow one.
    """

    def answer(environ: dict[str, Any], start_response: Any) -> Any:
        response = application(environ, start_response)
        while environ["wsgi.input"].read(PIECE):
            pass
        return response

    return answer


def in_utf8(application: Any) -> Any:
    """Refuse a body in another charset than UTF-8: Django itself fails at one that no text can be read by."""

    def answer(environ: dict[str, Any], start_response: Any) -> Any:
        if _charset(environ.get("CONTENT_TYPE", "")) in ("utf-8", "utf8", "us-ascii"):
            return application(environ, start_response)
        start_response("415 Unsupported Media Type", [("Content-Type", "text/plain; charset=utf-8")])
        return [b"The charset of the content type is not taken. Send the body in UTF-8."]

    return answer


def _charset(content_type: str) -> str:
    try:
        return parse_header_parameters(content_type)[1].get("charset", "utf-8").lower()
    except (LookupError, ValueError):
        return ""


leave_with_parent()
os.umask(OTHERS)
application = in_utf8(get_wsgi_application())
if os.environ.get(BEHIND_FRONT):
    application = read_whole(application)
# Objects loaded until here stay for good: the garbage collector need not look at them during requests.
gc.collect()
gc.freeze()

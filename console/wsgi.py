"""The WSGI entry point, served by granian."""

import gc
import multiprocessing
import os
import threading

from django.core.wsgi import get_wsgi_application

from console.core.own_file import OTHERS

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")


def leave_with_parent() -> None:
    """End this worker when the server's main process is gone: killed, it could not tell its workers to stop."""
    if parent := multiprocessing.parent_process():

        def wait() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=wait, name="parent-watch", daemon=True).start()


leave_with_parent()
os.umask(OTHERS)
application = get_wsgi_application()
# Objects loaded until here stay for good: the garbage collector need not look at them during requests.
gc.collect()
gc.freeze()

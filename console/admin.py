"""Django admin of the console, which Django looks for here: the second way in for operators."""

from console.core import admin as core
from console.machines import admin as machines
from console.push import admin as push
from console.work import admin as work

__all__ = ["core", "machines", "push", "work"]

"""Hatch's build hook: the module of edge/envoy/module is compiled whenever Causeway is built or installed for editing.

Without a compiler the wheel is made without it: a server then works as it can, and says so.
"""

from __future__ import annotations

import sys
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ModuleHook(BuildHookInterface[Any]):
    """Finds what a release's command has compiled for other platforms, and adds this machine's own."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile before the files are collected; `version` is ``editable`` for ``pip install -e``."""
        sys.path.insert(0, self.root)
        try:
            from edge.envoy.module.build import BuildError, build_here
        finally:
            sys.path.remove(self.root)
        build_data["artifacts"].append("/edge/envoy/module/*/*.so")
        try:
            build_here()
        except BuildError as error:
            self.app.display_warning(f"Without the module for byte-exact ends: {error}")

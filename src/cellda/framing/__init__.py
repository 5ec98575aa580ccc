"""Framing: which part of a decoded image the classifier sees.

    >>> import cellda.framing
    >>> cellda.framing.names()
    ['cell', 'center', 'none']

A new framing is one file in this folder, named after the framing (see `base.Framing`).
"""

from typing import TYPE_CHECKING

import lazy_loader

from cellda.plugins.registry import Registry

if TYPE_CHECKING:
    from cellda.framing.base import Framing
else:  # listing names must not import torch
    __getattr__, __dir__, _ = lazy_loader.attach(__name__, submod_attrs={"base": ["Framing"]})

registry: "Registry[Framing]" = Registry("framing", "cellda.framing", "cellda.framing.base:Framing")
register = registry.register
names = registry.names
get = registry.get
summary = registry.summary
create = registry.create

__all__ = ["Framing", "create", "get", "names", "register", "registry", "summary"]

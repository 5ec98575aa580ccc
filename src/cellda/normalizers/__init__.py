"""Stain normalizers: modules that bring images from different stains and cameras to one colour style.

    >>> import cellda.normalizers
    >>> "reinhard" in cellda.normalizers.names()
    True

`cellda.normalizers.create("reinhard", space="lalphabeta", reference="paper")(images)` normalizes a
`(B, 3, H, W)` batch in [0, 1]. A new normalizer is one file in this folder, named after the normalizer (see
`base.Normalizer`).
"""

from typing import TYPE_CHECKING

import lazy_loader

from cellda.plugins.registry import Registry

if TYPE_CHECKING:
    from cellda.normalizers.base import Normalizer
else:  # listing names must not import torch
    __getattr__, __dir__, _ = lazy_loader.attach(__name__, submod_attrs={"base": ["Normalizer"]})

registry: "Registry[Normalizer]" = Registry(
    "normalizer", "cellda.normalizers", "cellda.normalizers.base:Normalizer"
)
register = registry.register
names = registry.names
get = registry.get
summary = registry.summary
create = registry.create

__all__ = ["Normalizer", "create", "get", "names", "register", "registry", "summary"]

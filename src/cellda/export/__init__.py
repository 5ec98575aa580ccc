"""Files in which a classifier runs without cellda: raw pixels in, class probabilities out.

    >>> import cellda.export
    >>> cellda.export.names()
    ['bioimageio', 'onnx', 'torchscript']

`cellda.export.export(model, "model.onnx", "onnx")` writes one and checks that it computes what the library does. A new format
is one file in this folder, named after it (see `base.Format`).
"""

from typing import TYPE_CHECKING

import lazy_loader

from cellda.plugins.registry import Registry

if TYPE_CHECKING:
    from cellda.export.base import Format
    from cellda.export.writing import export
else:  # listing names must not import torch
    __getattr__, __dir__, _ = lazy_loader.attach(
        __name__, submod_attrs={"base": ["Format"], "writing": ["export"]}
    )

registry: "Registry[Format]" = Registry("format", "cellda.export", "cellda.export.base:Format")
register = registry.register
names = registry.names
get = registry.get
summary = registry.summary
create = registry.create

__all__ = ["Format", "create", "export", "get", "names", "register", "registry", "summary"]

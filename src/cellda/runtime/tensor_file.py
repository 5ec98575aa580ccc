"""Files of tensors."""

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save
from torch import Tensor


def write_tensors(tensors: Mapping[str, Tensor], file: Path) -> None:
    """Write tensors by name as safetensors, in a file whose mode is the user's umask's.

    `safetensors.torch.save_file` would leave a file that only its owner can read (mode 600).
    """
    file.write_bytes(save({name: value.contiguous() for name, value in tensors.items()}))

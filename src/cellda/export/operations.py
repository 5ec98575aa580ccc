"""Operations that ONNX lacks, in operations that it has: each takes and returns what the one of torch does.

They are computed in float64, so that they are as exact as what they stand for, which is computed in float32.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

SWEEPS = {2: 1, 3: 5}
"""Rows of a matrix -> sweeps of the Jacobi method: one rotation solves two rows, and convergence is quadratic for three."""


def eigh(matrix: Tensor, uplo: str = "L", compute_v: bool = True) -> tuple[Tensor, Tensor]:  # noqa: ARG001
    """Eigenvalues, ascending, and eigenvectors of symmetric matrices `(..., n, n)` of 2 or 3 rows, by Jacobi rotations.

    G. Golub, C. Van Loan: Matrix Computations, 4th edition, section 8.5.
    """
    size = matrix.shape[-1]
    left = matrix.double()
    vectors = torch.eye(size, dtype=torch.float64).expand_as(left)
    for _ in range(SWEEPS[size]):
        for one in range(size - 1):
            for other in range(one + 1, size):
                turn = _rotation(left, one, other)
                left = turn.mT @ left @ turn
                vectors = vectors @ turn
    values, order = left.diagonal(dim1=-2, dim2=-1).sort(-1)
    vectors = vectors.gather(-1, order.unsqueeze(-2).expand_as(vectors))
    return values.to(matrix.dtype), vectors.to(matrix.dtype)


def pinv(
    matrix: Tensor,
    *,
    atol: Tensor | None = None,  # noqa: ARG001
    rtol: Tensor | None = None,  # noqa: ARG001
    hermitian: bool = False,  # noqa: ARG001
) -> Tensor:
    """Pseudo-inverse `(..., n, m)` of matrices `(..., m, n)` with few columns, from the eigenvectors of `A' A`.

    Singular values below `max(m, n) eps` times the largest count as 0, as in torch for the type of the matrix.
    """
    least = max(matrix.shape[-2:]) * torch.finfo(matrix.dtype).eps
    full = matrix.double()
    squares, vectors = eigh(full.mT @ full)
    kept = squares > least**2 * squares[..., -1:]
    inverse = torch.where(kept, 1 / torch.where(kept, squares, 1), 0)
    return ((vectors * inverse.unsqueeze(-2)) @ vectors.mT @ full.mT).to(matrix.dtype)


def nanquantile(
    values: Tensor,
    q: Tensor | float,
    dim: int | None = None,
    keepdim: bool = False,  # noqa: ARG001
    *,
    interpolation: str = "linear",  # noqa: ARG001
) -> Tensor:
    """Quantiles of the values that are not NaN along the last dimension, linear in between.

    Raises:
        NotImplementedError: If it is another dimension.
    """
    if dim is None or dim % values.ndim != values.ndim - 1:
        raise NotImplementedError("nanquantile is exported along the last dimension only")
    absent = values.isnan()
    count = (~absent).sum(-1, keepdim=True)
    ordered = values.masked_fill(absent, torch.inf).sort(-1).values
    shares = torch.as_tensor(q, dtype=values.dtype)
    place = (shares.reshape(-1) * (count - 1).to(values.dtype)).clamp(min=0)
    low, high = place.floor(), place.ceil()
    below, above = ordered.gather(-1, low.long()), ordered.gather(-1, high.long())
    found = torch.where(count > 0, below + (place - low) * (above - below), torch.nan)
    return found.movedim(-1, 0) if shares.ndim else found[..., 0]


def table() -> Any:
    """The decompositions with which a graph is lowered for ONNX: those of torch, and these."""
    aten = torch.ops.aten
    own: dict[Any, Callable[..., Any]] = {
        aten._linalg_eigh.default: eigh,
        aten.linalg_pinv.atol_rtol_tensor: pinv,
        aten.nanquantile.default: nanquantile,
        aten.nanquantile.scalar: nanquantile,
    }
    found = torch.export.default_decompositions()
    for operation, function in own.items():
        found[operation] = function
    return found


def _rotation(matrix: Tensor, one: int, other: int) -> Tensor:
    """The rotation in the plane of two axes after which a symmetric matrix has a 0 there."""
    mixed = matrix[..., one, other]
    zero = mixed == 0
    slope = (matrix[..., other, other] - matrix[..., one, one]) / (2 * torch.where(zero, 1, mixed))
    sign = torch.where(slope < 0, -1.0, 1.0).double()
    tangent = torch.where(zero, 0, sign / (slope.abs() + (slope.square() + 1).sqrt()))
    cosine = (tangent.square() + 1).rsqrt()
    sine = tangent * cosine
    size = matrix.shape[-1]
    rows = [[torch.full_like(cosine, float(row == column)) for column in range(size)] for row in range(size)]
    rows[one][one], rows[one][other] = cosine, sine
    rows[other][one], rows[other][other] = -sine, cosine
    return torch.stack([torch.stack(row, -1) for row in rows], -2)

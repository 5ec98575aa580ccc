"""Pure tensor functions on `(B, 3, H, W)` images."""

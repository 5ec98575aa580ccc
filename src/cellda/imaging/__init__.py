"""Pure functions on images: tensors `(B, 3, H, W)`, or arrays of one image."""

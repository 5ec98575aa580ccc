"""A dataset as other libraries expect it: PyTorch and torchvision, Hugging Face."""

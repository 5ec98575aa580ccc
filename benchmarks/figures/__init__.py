"""The paper's figures that need images or models."""

"""Individual questions, each answered by one script."""

"""`python -m cellda` is the command `cellda`."""

from cellda.cli import main

main()

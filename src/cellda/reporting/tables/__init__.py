"""Tables from stored predictions, one file a kind; `cellda.reporting.catalogue` names those of the command line."""

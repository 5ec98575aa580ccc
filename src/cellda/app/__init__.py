"""The laboratory's screen: a local page to label, adapt, look and decide; a thin layer over the calls of the library."""

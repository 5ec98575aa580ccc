"""Plug-ins: registries, options, settings, and digests of the code that results depend on."""

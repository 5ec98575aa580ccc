"""What makes a class a plug-in: registries, options, settings, and the code that results depend on."""

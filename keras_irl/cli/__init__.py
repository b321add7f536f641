"""The command line interface, one module a command."""

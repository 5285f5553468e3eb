"""The ``textxfer`` command: thin, one file a subcommand."""

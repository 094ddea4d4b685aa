"""The subcommands: arguments to calls, results to lines."""

"""The command ``secant``: one file a command."""

"""The activate scripts, in real shells."""

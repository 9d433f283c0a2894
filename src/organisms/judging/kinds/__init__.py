"""The kinds of judges: one file each, with a class `Kind` (see `judging.kind`)."""

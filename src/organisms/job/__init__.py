"""What every script stands on: logs, manifests, whole files, tables, stores, and the digest of code.

It carries results and decides none; it knows no stage and no config.
"""

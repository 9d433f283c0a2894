"""What models answer: planned rows, the conversations that they become, and every completion that was ever sampled.

Completions that another tool made come in here too; no score is known here.
"""

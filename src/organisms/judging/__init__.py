"""Judging completions.

templates: what a judge is asked. requests: one call for each distinct question to it. live, batches, local: how calls
are answered. ledger: every answer ever bought. verdicts: what an answer says. world, judgments: rows of the
judgments table.
"""

"""Judging completions: a judge kind is one file in `kinds`; the rest is what kinds share.

templates, requests, collecting: what a judge by prompt is asked. live, batches, purchase: how calls are made, apart
from ledger and prices, which keep what was bought and what it may cost. ratings: what an answer says.
"""

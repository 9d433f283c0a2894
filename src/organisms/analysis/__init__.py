"""From judgments to numbers: scores, intervals, claims, agreement, power.

It reads tables and gives tables; it knows metrics by their declaration and draws nothing.
"""

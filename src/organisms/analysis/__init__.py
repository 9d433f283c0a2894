"""From judgments to numbers: scores, intervals, claims, sensitivity, agreement, power.

It reads tables and gives tables; it knows metrics by their declaration and draws nothing.
"""

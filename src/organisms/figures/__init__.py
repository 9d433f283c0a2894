"""From tables to pictures. A figure of scores is one file in `of_scores`.

Nothing is estimated here; a figure shows what a table says.
"""

"""What people read: the printed summary, the overview, the completions browser, exports, and the archive for a paper.

Texts of models are text here, never markup.
"""

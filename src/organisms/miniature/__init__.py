"""The miniature: a small declared world that writes texts and judges answers exactly, and a model pretrained on it.

What comes out is an ordinary dataset and an ordinary model folder; the other rooms do not know where they came from.
"""

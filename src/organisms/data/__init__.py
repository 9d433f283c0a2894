"""From sources of rows and questions to what models are trained on and asked.

It touches datasets, archives, the hub's datasets and question files, and no model.
"""

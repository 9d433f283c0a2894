"""A loaded model: opened once, it answers conversations and scores given answers.

Loading, sampling and scoring are here, for base models, adapters and local judges alike; nothing here trains.
"""

"""Finetuning: a variant's rows and a training method give an adapter and its log.

A method is one file in `methods`; it may change the trainer and touches neither sampling nor judging.
"""

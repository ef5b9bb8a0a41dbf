"""What acts: the Celery tasks that talk to BMCs and agents.

A task is a hint, never an order: each begins by taking the machine's lease, reading the machine anew and deciding
again (operation.py), and ends as `skipped: why` where its operation is not due.
"""

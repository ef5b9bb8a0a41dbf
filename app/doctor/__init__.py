"""`omni-metal doctor`: looks at everything that the provider needs, and says what is wrong and what to do about it.

Read from `checks.py`, which is the list of what is looked at: to add a check, write a function that takes a `Site` and
gives `Finding`s, and put it there. Nothing is changed anywhere.
"""

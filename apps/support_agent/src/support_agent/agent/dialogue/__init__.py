"""What the offline model says: a dialogue that is a function of the messages so far, and no more.

`words.py` reads a message, `intents.py` tells what it is about, `reading.py` folds the history into
what is remembered, `plans.py` takes the next step, and `answers.py` has the texts.
"""

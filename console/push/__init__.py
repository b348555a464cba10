"""Message push: channels, the messages sent through them, and the outbox that loses nothing.

Senders call ``outbox.post``, within the transaction of the change that they tell of.
"""

"""Message push: channels, what is sent through them, and the outbox that loses nothing.

``outbox.post`` is the door for whoever has something to tell; it belongs into the transaction of the change.
"""

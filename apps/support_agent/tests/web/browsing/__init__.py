"""What the chat and the conversations do in a real browser.

A package, as `tests/browser` is and for the same reason: the browser is closed with the folder's
last test, for while Playwright runs it holds the thread's event loop.
"""

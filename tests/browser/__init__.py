"""What the dashboard does in a real browser.

A package, as no other folder of tests is: so the browser is closed with the folder's last test.
While Playwright runs it holds the thread's event loop, and `asyncio.run` of any other test fails.
"""

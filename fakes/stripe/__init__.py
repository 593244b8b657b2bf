"""A fake of Stripe on a real socket: checkout sessions, payment intents, refunds, disputes, webhooks, a page.

A test drives the payments: `pay`, `refund`, `dispute`. Webhooks wait for the test.
"""

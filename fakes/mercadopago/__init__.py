"""A fake of Mercado Pago on a real socket: preferences, payments, refunds, webhooks and the checkout page.

A test drives the payments: `pay`, `approve`, `refund`, `charge_back`. Webhooks wait for the test.
"""

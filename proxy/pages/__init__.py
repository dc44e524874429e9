"""Pages that Headgate writes itself: listings and problems. Pure: values in, bytes out.

Nothing that comes from a store or a client is trusted: every text passes `proxy.pages.text` on
its way into a page, and a page needs no script and nothing from another address.
"""

"""Who has access: `proxies` finds a request's client, `origins` its page, and `auth` its caller."""

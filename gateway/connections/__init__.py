"""Client connections: limits, timeouts, raw responses, and the hook of the fast path in aiohttp's parser."""

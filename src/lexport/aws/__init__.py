"""What AWS says: the only folder that knows aiobotocore, httptools and aiohttp's client."""

"""What AWS says: the only folder that knows aiobotocore and aiohttp's client."""

"""What AWS says: the only folder that knows aiobotocore, pyreqwest and aiohttp's client."""

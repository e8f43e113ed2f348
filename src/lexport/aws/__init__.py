"""What AWS says: the only folder that knows aiobotocore, pyreqwest, httptools and aiohttp's client."""

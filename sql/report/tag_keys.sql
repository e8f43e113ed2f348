-- title: Keys of tags
-- about: How many functions have a tag with this key; the report groups functions by one of them with --owner-tag.
-- empty: No function has a tag.
-- rows: 100
SELECT key AS tag_key, COUNT(*) AS functions
FROM tags
GROUP BY key
ORDER BY functions DESC, tag_key

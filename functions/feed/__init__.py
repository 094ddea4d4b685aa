"""The change feed: from the tables' streams to EventBridge (docs/sending.md#change-feed)."""

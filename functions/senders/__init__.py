"""What senders report and ask, over HTTP (docs/sending.md)."""

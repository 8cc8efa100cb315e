"""SMTP and LMTP: a sans-IO engine, the conversation over a stream, the pool and the transport."""

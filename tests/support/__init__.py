"""The test harness: callers, tables, engines, stacks, request data."""

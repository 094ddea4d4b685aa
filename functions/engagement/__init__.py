"""Volt MX and Quantum Fabric Engagement: subscribers by KSID (docs/spec/engagement.md)."""

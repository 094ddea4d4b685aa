"""Volt MX and Quantum Fabric Engagement: subscribers known by their KSID."""

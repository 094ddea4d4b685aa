"""What Pushreg costs, side by side with what one would write instead; see docs/performance.md."""
